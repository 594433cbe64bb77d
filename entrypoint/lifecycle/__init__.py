"""The life of one runner: register, listen, deregister."""
