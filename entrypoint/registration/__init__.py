"""Onto GitHub's list of runners, and off it whatever happens."""
