"""The subcommands for people and platforms: check, jit, settings, status, sweep."""
