"""Reading the log that a command is given."""

from pathlib import Path

from rich.console import Console

from recgym.data import InteractionLog, read_log

__all__ = ["read_told"]


def read_told(path: Path, format: str, columns: str | None, say: Console) -> InteractionLog:
    """A log, after telling what one should know before trusting its rows; raises what :func:`read_log` does."""
    log = read_log(path, format, columns=columns)
    for note in log.notes:
        say.print(f"note: {note}", markup=False, highlight=False)
    return log
