"""The reinforcement-learning gym for sequential recommendation."""
