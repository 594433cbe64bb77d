"""The commands that the workflows of a release call."""
