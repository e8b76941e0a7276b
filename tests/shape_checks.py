"""The runtime type checker of the tests: beartype, to which an int is as good as a float."""

from beartype import BeartypeConf, beartype

typecheck = beartype(conf=BeartypeConf(is_pep484_tower=True))
