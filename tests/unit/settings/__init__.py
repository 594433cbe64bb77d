"""Tests of entrypoint/settings."""
