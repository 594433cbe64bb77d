"""Random stops: runners are started, disturbed and stopped at any moment, then judged.

`python -m tests.chaos` lives N lives (200) from SEED (0) on, several at a time. Each life follows
a plan that its seed alone decides, so `SEED=… N=1` repeats one that failed.
"""
