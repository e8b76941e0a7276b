"""Peers of the package, each run in an environment of its own and reached through a subprocess."""
