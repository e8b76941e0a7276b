"""Stand-in for dopamine-rl: only named by an import."""
