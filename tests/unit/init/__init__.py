"""Tests of entrypoint/init."""
