"""Tests of entrypoint/registration."""
