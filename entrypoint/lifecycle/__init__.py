"""The life of one runner: register, listen for a job, deregister."""
