"""PID 1 of a container that is an ephemeral GitHub Actions runner."""
