"""The API reference: every name that a package lists in ``__all__``, each at one place."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import recgym
from docs.generate.markdown import toctree

__all__ = ["documented", "pages"]

_LEFT_OUT = ("recgym.cli", "recgym.data.readers")
"""The command line has a page of its own, and so have the readers of logs."""
_MODULES = ("recgym.types", "recgym.arrays", "recgym.seeding", "recgym.files", "recgym.stats")


def _packages(package: ModuleType) -> Iterator[ModuleType]:
    yield package
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if found.ispkg and not found.name.startswith(_LEFT_OUT):
            try:
                yield from _packages(importlib.import_module(found.name))
            except ModuleNotFoundError:  # the extra that it needs is not installed
                continue


def _public() -> dict[str, list[tuple[str, Any]]]:
    """Module -> its public names with what they are; the first module that lists an object has it."""
    modules = [m for m in _packages(recgym) if m is not recgym and hasattr(m, "__all__")]
    # Packages before those inside them: what a package offers is found there.
    modules = sorted(modules, key=lambda m: (m.__name__.count("."), m.__name__))
    seen: set[int] = set()
    listed: dict[str, list[tuple[str, Any]]] = {}
    for module in [*modules, *(importlib.import_module(name) for name in _MODULES)]:
        entries = listed.setdefault(module.__name__, [])
        for name in module.__all__:
            value = getattr(module, name)
            if id(value) not in seen:
                entries.append((name, value))
            if isinstance(value, type) or callable(value):
                seen.add(id(value))
    return listed


def documented() -> dict[tuple[str, str], str]:
    """Where each class and function has its entry: (module, name) of its definition -> the name it is found under."""
    return {
        (value.__module__, value.__qualname__): f"{module}.{name}"
        for module, entries in _public().items()
        for name, value in entries
        if hasattr(value, "__qualname__") and hasattr(value, "__module__")
    }


def pages() -> dict[str, str]:
    """Page name -> text."""
    listed = {module: entries for module, entries in _public().items() if entries}
    index = (
        "# API reference\n\nThe names that packages list as public. `import recgym` registers the environments and "
        "offers the most used ones: " + ", ".join(f"{{py:obj}}`~recgym.{name}`" for name in recgym.__all__) + ".\n\n"
    )
    made = {f"api/{module}.md": _page(module, entries) for module, entries in listed.items()}
    return {"api/index.md": index + toctree(list(listed))} | made


def _page(module: str, entries: list[tuple[str, Any]]) -> str:
    body = "".join(_entry(module, name, value) for name, value in entries)
    return (
        f"# {module}\n\n```{{eval-rst}}\n.. automodule:: {module}\n   :no-members:\n\n"
        f".. py:currentmodule:: {module}\n\n{body}```\n"
    )


def _entry(module: str, name: str, value: Any) -> str:
    if inspect.isclass(value):
        return f".. autoclass:: {module}.{name}\n   :members:\n\n"
    if inspect.isroutine(value):
        return f".. autofunction:: {module}.{name}\n\n"
    return f".. autodata:: {_home(module, name)}.{name}\n   :no-value:\n\n"


def _home(module: str, name: str) -> str:
    """Where a value is assigned, and so where its docstring stands: imports are followed to it."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    for line in ast.walk(tree):
        if isinstance(line, ast.ImportFrom) and line.module and any(name == (a.asname or a.name) for a in line.names):
            return _home(line.module, name)
    return module
