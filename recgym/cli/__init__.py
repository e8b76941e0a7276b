"""The command line: one file a verb, each a frozen dataclass: its fields are the flags, ``run`` calls the library."""
