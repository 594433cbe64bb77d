"""Tests of entrypoint/github."""
