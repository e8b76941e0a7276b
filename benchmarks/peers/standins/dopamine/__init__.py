"""Stand-in for dopamine-rl."""
