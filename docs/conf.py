"""How the documentation is built: ``make docs``."""

import re
import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from sphinx.domains.python._object import PyObject  # noqa: E402 - found through the path above, like the next

from docs.generate import write_pages  # noqa: E402
from docs.generate.references import resolve  # noqa: E402
from docs.generate.signatures import signature  # noqa: E402

project, author, copyright = "recgym", "The recgym developers", "The recgym developers"
version = release = installed("recgym")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "generate"]
html_theme = "furo"
html_title = f"recgym {version}"
html_show_sphinx = False
html_copy_source = False

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring, napoleon_numpy_docstring = True, False
napoleon_use_ivar = True
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

# Annotations name classes of other packages, and type variables; references to recgym's own names must resolve.
nitpick_ignore_regex = [(r"py:.*", r"(?!recgym).*")]
# A class name in an annotation that several packages have: the one of the same package is taken, else the first.
suppress_warnings = ["ref.python"]


def setup(app: Any) -> None:
    """Write the generated pages before Sphinx looks for pages."""
    write_pages(HERE / "_generated")
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-process-docstring", _no_enumeration, priority=900)  # after napoleon
    app.connect("autodoc-skip-member", _skip)
    app.connect("missing-reference", resolve)


def _signature(
    app: Any, what: str, name: str, value: Any, options: Any, written: str | None, returned: str | None
) -> tuple[str, str | None] | None:
    return signature(value) if what in ("class", "exception", "function", "method") else None


def _no_enumeration(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """An attribute that is "K." is no list that begins with the item K."""
    lines[:] = [re.sub(r"^(\s*:\w+ \w+:) (\w\.)( |$)", r"\1 \\\2\3", line) for line in lines]


def _skip(app: Any, what: str, name: str, value: Any, skip: bool, options: Any) -> bool | None:
    """Fields of named tuples stand in the class docstring."""
    return True if type(value).__name__ in ("_tuplegetter", "member_descriptor") else None
