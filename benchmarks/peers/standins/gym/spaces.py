"""Only named by an import: RecSim builds spaces when asked for them, not while stepping."""
