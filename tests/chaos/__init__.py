"""Random stops: runners are started, disturbed and stopped at any moment, and then judged.

`python -m tests.chaos` lives N lives (200) from SEED (0) on, several at a time. The seed of a life
decides its whole plan, so that `SEED=… N=1` repeats a life that failed.
"""
