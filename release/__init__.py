"""The commands that check and publish releases. They need Python's standard library only.

Each module is a command, `python3 -m release.NAME`, which a workflow calls; docs/releasing.md
describes how they fit together. A command that fails prints one line and ends with exit code 1.
"""
