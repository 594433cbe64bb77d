"""Tests of the simulator: what the product is developed against must itself be right."""
