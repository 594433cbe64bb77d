"""Tests of the simulator, on which most other tests rely."""
