"""The section of a report that says how a result was made."""

from collections.abc import Mapping
from typing import Any

from recgym.report.document import Section, Table

__all__ = ["making_section"]

Result = Mapping[str, Any]


def making_section(result: Result) -> Section | None:
    """Command, seconds of each stage and versions, as far as the result holds them; None if it holds none."""
    seconds, versions, command = result.get("seconds") or {}, result.get("versions") or {}, result.get("command")
    tables = []
    if seconds:
        rows = [(stage.replace("_", " "), float(value)) for stage, value in seconds.items()]
        tables.append(Table(("Stage", "Seconds"), rows, "Where the time went"))
    if versions:
        tables.append(Table(("Software", "Version"), [(name, str(value)) for name, value in versions.items()]))
    if not (tables or command):
        return None
    return Section("How this was made", f"Command: {command}" if command else "", tables)
