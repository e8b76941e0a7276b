"""Spaces are named, and made when an environment begins; stepping does not look at them."""


class Discrete:
    """So many actions."""

    def __init__(self, n: int) -> None:
        self.n = n
