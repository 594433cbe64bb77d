"""GitHub's own program: its files, its commands, its processes."""
