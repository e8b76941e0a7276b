"""Shape checks are on while tests run: every jaxtyping annotation of the package is checked by beartype."""

from jaxtyping import install_import_hook

install_import_hook("recgym", "beartype.beartype")
