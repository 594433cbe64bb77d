"""What every test shares."""

pytest_plugins = ["pytester", "tests.no_skips"]
