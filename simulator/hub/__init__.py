"""A stand-in for GitHub: its state, its rules, its faults."""
