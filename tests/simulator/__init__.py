"""Tests of the simulator: whatever is developed against it relies on it."""
