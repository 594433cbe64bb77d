"""A runner's life on github.com itself, for whoever has a repository there to try it in."""
