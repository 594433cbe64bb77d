"""What the workflows publish, and what has to be true before they do. Python's own library only.

Each module is a command, `python3 -m release.NAME`, which the workflows call; docs/releasing.md
tells how they fit together. Whatever is wrong ends with exit code 1 and one line that says what.
"""
