"""Signatures as they are written in the source, so that shapes such as ``Float32[Array, "B T"]`` stay readable."""

import ast
import dataclasses
import inspect
import textwrap
from typing import Any

__all__ = ["signature"]


def signature(value: Any) -> tuple[str, str | None] | None:
    """Arguments and return annotation as they are written.

    Args:
        value: a function, a method, or a class: its ``__init__``, or the fields of a dataclass or named tuple.

    Returns:
        None where the source does not say.
    """
    if inspect.isclass(value):
        own = value.__dict__.get("__init__")
        if inspect.isfunction(own) and own.__qualname__ == f"{value.__qualname__}.__init__" and not _generated(value):
            written = _function(own)
            return None if written is None else (written[0], None)
        fields = _fields(value)
        return None if fields is None else (f"({', '.join(fields)})", None)
    function = inspect.unwrap(getattr(value, "__func__", value))
    return _function(function) if inspect.isfunction(function) else None


def _generated(value: type[Any]) -> bool:
    return dataclasses.is_dataclass(value)


def _tree(value: Any) -> ast.stmt | None:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return None


def _function(function: Any) -> tuple[str, str | None] | None:
    tree = _tree(function)
    if not isinstance(tree, ast.FunctionDef):
        return None
    arguments = tree.args
    for group in (arguments.posonlyargs, arguments.args):
        if group and group[0].arg in ("self", "cls"):
            del group[0]
            break
    returned = None if tree.returns is None else ast.unparse(tree.returns).strip("'")
    return f"({ast.unparse(arguments)})", returned


def _fields(value: type[Any]) -> list[str] | None:
    """Fields with annotation and default, those of the oldest ancestor first."""
    is_tuple = issubclass(value, tuple) and hasattr(value, "_fields")
    if not (dataclasses.is_dataclass(value) or is_tuple):
        return None
    written: dict[str, str] = {}
    for kind in reversed(value.__mro__):
        tree = _tree(kind) if kind.__module__.startswith("recgym") else None
        for line in tree.body if isinstance(tree, ast.ClassDef) else ():
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                annotation = ast.unparse(line.annotation)
                if not annotation.startswith("ClassVar") and not line.target.id.startswith("_"):
                    default = "" if line.value is None else f" = {_default(line.value)}"
                    written[line.target.id] = f"{line.target.id}: {annotation}{default}"
    return list(written.values())


def _default(value: ast.expr) -> str:
    """The default; of ``field(default_factory=X)`` the call of X."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "field":
        for keyword in value.keywords:
            if keyword.arg == "default_factory":
                made = keyword.value
                return ast.unparse(made.body) if isinstance(made, ast.Lambda) else f"{ast.unparse(made)}()"
    worked_out = (ast.GeneratorExp, ast.ListComp, ast.Lambda)
    return "..." if any(isinstance(part, worked_out) for part in ast.walk(value)) else ast.unparse(value)
