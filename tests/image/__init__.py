"""Tests of the images, built and run by a real engine with the real commands."""
