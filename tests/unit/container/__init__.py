"""Tests of entrypoint/container."""
