"""Tests: test_X.py mirrors entrypoint/X.py; process and image tests run the real program."""
