"""Programs for people and platforms: check, status, sweep."""
