"""Stand-in for gym: environments of peers derive from ``Env`` and override all that stepping uses."""


class Env:
    """The base of environments."""
