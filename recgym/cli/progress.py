"""Progress of work that is cut into pieces, whoever works on them."""

from collections.abc import Callable, Generator, Iterable, Sized
from dataclasses import dataclass
from typing import TypeVar

from recgym.progress import Progress, Tick
from recgym.workers import Workers

__all__ = ["Watched"]

Setup = TypeVar("Setup")
Piece = TypeVar("Piece")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Watched:
    """Workers whose finished pieces are counted; for what takes :class:`recgym.workers.Workers`.

    Attributes:
        workers: who works.
        progress: told after each piece.
        stage: what they do.
        unit: what a piece is called.
    """

    workers: Workers
    progress: Progress
    stage: str
    unit: str = "blocks"

    def map(
        self, work: Callable[[Setup, Piece], Made], setup: Setup, pieces: Iterable[Piece]
    ) -> Generator[Made, None, None]:
        """See :class:`recgym.workers.Workers`."""
        total = len(pieces) if isinstance(pieces, Sized) else None
        self.progress(Tick(self.stage, 0, total, self.unit))
        for done, made in enumerate(self.workers.map(work, setup, pieces), start=1):
            self.progress(Tick(self.stage, done, total, self.unit))
            yield made
