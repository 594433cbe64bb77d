"""A runner's life on github.com itself, in a repository of the person who runs these tests."""
