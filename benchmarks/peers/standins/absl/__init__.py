"""Stand-in for absl-py."""
