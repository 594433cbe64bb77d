"""GitHub's REST API for runners. Children and commands load it; an idle PID 1 does not."""
