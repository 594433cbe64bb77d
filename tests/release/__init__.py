"""The commands that the release workflows call."""
