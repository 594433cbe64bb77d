"""Tests of entrypoint/commands."""
