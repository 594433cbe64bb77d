"""`make demo`: one runner's life on this machine, without Docker and without GitHub."""
