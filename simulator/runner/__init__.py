"""The programs of the stand-in distribution: `Runner.Listener` and `Runner.Worker`.

This package is copied into `bin/` of a distribution. It imports nothing but `os`, `time` and
modules written in C, because every start of a runner pays for each import.
"""
