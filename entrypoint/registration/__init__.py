"""Puts the runner on GitHub's list, and takes it off again, whatever happens in between."""
