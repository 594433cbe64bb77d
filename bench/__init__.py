"""Benchmarks: what PID 1 costs, beside the programs that it replaces."""
