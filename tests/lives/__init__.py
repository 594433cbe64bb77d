"""One runner's life on the simulator: a file a subject."""
