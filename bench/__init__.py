"""Measures what PID 1 costs, beside the programs that it takes the place of."""
