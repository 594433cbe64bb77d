"""The orchestrator of microVMs, with stand-ins for the programs that it calls."""
