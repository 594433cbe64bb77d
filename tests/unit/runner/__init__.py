"""Tests of entrypoint/runner."""
