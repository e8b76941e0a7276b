"""Stand-in for gym: RecSim's environment derives from ``Env`` and overrides all that stepping uses."""


class Env:
    """The base of environments."""
