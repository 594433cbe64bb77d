"""One runner's life on the simulator; a file for each subject."""
