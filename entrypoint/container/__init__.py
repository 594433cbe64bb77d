"""What this container is and what it allows: users, kernel, certificates, state."""
