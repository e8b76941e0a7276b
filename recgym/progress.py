"""How far a long piece of work is: told by those who work through one function, shown by one class.

Whatever takes long takes a :data:`Progress` and calls it with :class:`Tick`; it knows nothing of terminals. Whoever
wants to see it passes :class:`Bars`, the one place that draws::

    with Bars() as bars:
        agent.learn(300_000, progress=bars)
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

__all__ = ["Bars", "Progress", "Tick"]

_REDRAW_S, _LOG_S, _SHORT_S = 0.1, 10.0, 2.0


class Tick(NamedTuple):
    """How far a stage of work is.

    Attributes:
        stage: what is done, such as ``training``; another stage begins with another name.
        done: how much of it.
        total: how much there is to do; None if nobody knows.
        unit: what is counted, such as ``steps``.
        note: something to say beside it, such as the last return.
    """

    stage: str
    done: float = 0.0
    total: float | None = None
    unit: str = ""
    note: str = ""


Progress = Callable[[Tick], None]
"""Is told how far the work is, as often as is convenient; must be quick."""


class Bars:
    """A bar for each stage, with rate and time left, on a terminal; a line now and then where there is none.

    Args:
        console: where to; standard error if None. What is printed to the same console appears above the bars.
        quiet: show nothing.
    """

    def __init__(self, console: "Console | None" = None, quiet: bool = False) -> None:
        from rich.console import Console

        self._console = console or Console(stderr=True, quiet=quiet)
        self._quiet = quiet or self._console.quiet
        self._rich: RichProgress | None = None
        self._task: TaskID | None = None
        self._tick: Tick | None = None
        self._first = self._start = self._shown = 0.0

    def __enter__(self) -> "Bars":
        if not self._quiet and self._console.is_terminal:
            self._rich = _rich(self._console)
            self._rich.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish()
        if self._rich is not None:
            self._rich.stop()
            self._rich = None

    def __call__(self, tick: Tick) -> None:
        """Show it; a few times a second at most."""
        if self._quiet:
            return
        now = time.monotonic()
        if self._tick is None or tick.stage != self._tick.stage:
            self._finish()
            self._begin(tick, now)
        every = _REDRAW_S if self._rich is not None else _LOG_S
        self._tick = tick if tick.note else tick._replace(note=self._tick.note if self._tick else "")
        if now - self._shown >= every or (self._rich is not None and tick.done == tick.total):
            self._show(now)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """A stage of which nothing is known but that it has begun."""
        self(Tick(name))
        yield
        self._finish()

    def _begin(self, tick: Tick, now: float) -> None:
        self._first, self._start, self._shown = tick.done, now, now
        if self._rich is not None:
            self._task = self._rich.add_task(tick.stage, total=tick.total, told="")

    def _show(self, now: float) -> None:
        tick = self._tick
        assert tick is not None
        self._shown = now
        told = ", ".join(self._words(tick, now))
        if self._rich is not None and self._task is not None:
            self._rich.update(self._task, completed=tick.done, total=tick.total, told=told)
        else:
            line = f"{tick.stage}: {told or _clock(now - self._start)}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _words(self, tick: Tick, now: float) -> list[str]:
        """Count, rate, time left and note, as far as they are known."""
        rate = (tick.done - self._first) / max(now - self._start, 1e-9)
        left = ""
        if tick.total is not None and rate > 0 and tick.done < tick.total:
            left = f"{_clock((tick.total - tick.done) / rate)} left"
        return [part for part in (_count(tick), _rate(rate, tick.unit), left, tick.note) if part]

    def _finish(self) -> None:
        """The stage is over: its bar stands still, or its last line is written if it took longer than 2 s."""
        now = time.monotonic()
        if self._tick is None:
            return
        if self._rich is not None or (now - self._start >= _SHORT_S and self._shown < now):
            self._show(now)
        if self._rich is not None and self._task is not None:
            if self._tick.total is None:
                self._rich.update(self._task, total=1.0, completed=1.0)
            self._rich.stop_task(self._task)
        self._tick = self._task = None


def _rich(console: "Console") -> "RichProgress":
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column

    return RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=12, table_column=Column(min_width=12)),
        TimeElapsedColumn(table_column=Column(min_width=7, no_wrap=True)),
        # What does not fit is left out at the end: the note.
        TextColumn("{task.fields[told]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
        console=console,
    )


def _count(tick: Tick) -> str:
    if tick.total is None:
        return f"{tick.done:,.0f} {tick.unit}".strip() if tick.done else ""
    return f"{tick.done:,.0f} of {tick.total:,.0f} {tick.unit}".strip()


def _rate(rate: float, unit: str) -> str:
    if rate <= 0:
        return ""
    return f"{rate:,.0f} {unit}/s" if rate >= 10 else f"{rate:.2g} {unit}/s"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
