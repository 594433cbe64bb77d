"""Tests of entrypoint/lifecycle."""
