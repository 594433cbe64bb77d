"""The orchestrator of runners in microVMs; ../orchestrator starts it."""
