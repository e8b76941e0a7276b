"""Cross-references of docstrings: to where an object has its entry, whatever path the docstring names it by."""

import importlib
import inspect
from typing import Any

from docutils import nodes  # type: ignore[import-untyped]
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from docs.generate.api import documented

__all__ = ["resolve"]


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.TextElement
) -> nodes.reference | nodes.TextElement | None:
    """Find what a reference means.

    An object that is documented under another path is linked there. One that exists and has no entry of its own stays
    plain text. What does not exist is left to Sphinx, which complains.
    """
    if node.get("refdomain") != "py":
        return None
    found = _find(str(node["reftarget"]), str(node.get("py:module") or ""))
    if found is None:
        return None
    value, member = found
    key = (getattr(value, "__module__", None), getattr(value, "__qualname__", None))
    target = documented_names().get(key)  # type: ignore[arg-type] # a key that is not there is not there
    if target is not None:
        full = f"{target}.{member}" if member else target
        domain = env.domains["py"]
        made = domain.resolve_xref(env, node["refdoc"], app.builder, "obj", full, node, contnode)
        if made is None and member:
            made = domain.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, contnode)
        if made is not None:
            return made
    return contnode


_NAMES: dict[tuple[str, str], str] = {}


def documented_names() -> dict[tuple[str, str], str]:
    """:func:`docs.generate.api.documented`, found out once."""
    if not _NAMES:
        _NAMES.update(documented())
    return _NAMES


def _find(path: str, module: str) -> tuple[Any, str] | None:
    """The class, function or module that a dotted path means, and the member of it that is named."""
    for candidate in (path, f"{module}.{path}"):
        parts = candidate.split(".")
        for cut in range(len(parts), 0, -1):
            if parts[0] != "recgym":
                break
            try:
                value: Any = importlib.import_module(".".join(parts[:cut]))
            except ImportError:
                continue
            found = _inside(value, parts[cut:])
            if found is not None:
                return found
            break
    return None


def _inside(value: Any, names: list[str]) -> tuple[Any, str] | None:
    for index, name in enumerate(names):
        if isinstance(value, type) and index == len(names) - 1:
            known = hasattr(value, name) or any(name in inspect.get_annotations(kind) for kind in value.__mro__)
            inside = getattr(value, name, None)
            if isinstance(inside, type):
                return inside, ""
            return (value, name) if known else None
        if not hasattr(value, name):
            return None
        value = getattr(value, name)
    return value, ""
