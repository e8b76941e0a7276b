"""Checkpoints are for agents; only named by an import."""
