"""What happens beside the learning: the curve, TensorBoard, checkpoints, and a progress bar."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from stable_baselines3.common.callbacks import BaseCallback

from recgym.agents.sb3.curve import CurvePoint

__all__ = ["Bar", "Watcher"]

_REDRAW_S = 0.2


class Bar:
    """A progress bar on stderr with steps per second, time left and the last return; or nothing, if not shown.

    Args:
        total: user-steps at the end.
        done: user-steps at the start.
        shown: whether there is a bar.
    """

    def __init__(self, total: int, done: int, shown: bool) -> None:
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._start, self._done, self._next = time.monotonic(), done, 0.0
        if shown:
            self._progress = Progress(
                TextColumn("{task.completed:,.0f} of {task.total:,.0f} steps"), BarColumn(),
                TextColumn("{task.fields[rate]:,.0f} steps/s"), TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=Console(stderr=True),
            )  # fmt: skip
            self._task = self._progress.add_task("", total=total, completed=done, rate=0.0, note="")

    def __enter__(self) -> "Bar":
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def update(self, steps: int, note: str | None = None, last: bool = False) -> None:
        """Move on; without a note, and if it is not the last time, a few times a second at most."""
        now = time.monotonic()
        if self._progress is None or (note is None and not last and now < self._next):
            return
        self._next = now + _REDRAW_S
        rate = (steps - self._done) / max(now - self._start, 1e-9)
        fields: dict[str, Any] = {"rate": rate} if note is None else {"rate": rate, "note": note}
        self._progress.update(self._task, completed=steps, **fields)


class Watcher(BaseCallback):
    """Collects returns of ended episodes; at the start of a rollout, when the last update is done, reports and saves.

    Args:
        report: given the next point of the learning curve.
        save: writes a checkpoint; None to write none.
        bar: the progress bar.
        log_every: user-steps between points, at least.
        checkpoint_every: user-steps between checkpoints, at least.
    """

    def __init__(
        self,
        report: Callable[[CurvePoint], None],
        save: Callable[[], None] | None,
        bar: Bar,
        log_every: int,
        checkpoint_every: int,
    ) -> None:
        super().__init__()
        self._report, self._save, self._bar = report, save, bar
        self._log_every, self._checkpoint_every = log_every, checkpoint_every
        self._returns: list[float] = []
        self._reported = self._saved = 0
        self._clock = time.perf_counter()

    def _on_training_start(self) -> None:
        self._reported = self._saved = self.num_timesteps = self.model.num_timesteps

    def _on_step(self) -> bool:
        dones, infos = self.locals["dones"], self.locals["infos"]
        if dones.any():
            self._returns += [infos[row]["episode"]["r"] for row in np.flatnonzero(dones)]
        self._bar.update(self.num_timesteps)
        return True

    def _on_rollout_start(self) -> None:
        steps = self.model.num_timesteps
        if steps - self._reported >= self._log_every:
            self.flush()
        if self._save is not None and steps - self._saved >= self._checkpoint_every:
            self._save()
            self._saved = steps

    def flush(self) -> None:
        """Report what has gathered; fewer than two episodes wait for more."""
        if len(self._returns) < 2:
            return
        steps = self.model.num_timesteps
        point = CurvePoint.of(steps, self._returns)
        now = time.perf_counter()
        self.logger.record("rollout/return", point.mean)
        self.logger.record("rollout/episodes", point.episodes)
        self.logger.record("time/steps_per_s", (steps - self._reported) / (now - self._clock))
        self.logger.dump(steps)
        self._report(point)
        self._bar.update(steps, f"return {point.mean:,.4g}")
        self._returns, self._reported, self._clock = [], steps, now
