"""Tests of single modules; the folders mirror the packages of entrypoint/."""
