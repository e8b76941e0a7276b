"""What happens beside the learning: the curve, TensorBoard, checkpoints, and how far it is."""

import time
from collections.abc import Callable

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from recgym.agents.sb3.curve import CurvePoint, LearningCurve
from recgym.progress import Progress, Tick

__all__ = ["Meter", "Watcher"]


class Meter:
    """Tells how far learning is, and the last return.

    Args:
        progress: who is told; nobody if None.
        total: of the unit at the end.
        done: of the unit at the start.
        unit: what is counted.
    """

    def __init__(self, progress: Progress | None, total: int, done: int, unit: str = "steps") -> None:
        self._progress, self._total, self._unit = progress, total, unit
        if done < total:
            self.update(done)

    def update(self, done: int, curve: LearningCurve | None = None) -> None:
        """Move on; the last point of the curve, if there is one, is told with it."""
        if self._progress is None:
            return
        note = f"return {curve.points[-1].mean:,.4g}" if curve is not None and curve.points else ""
        self._progress(Tick("training", done, max(self._total, done), self._unit, note))


class Watcher(BaseCallback):
    """Collects returns of ended episodes; at the start of a rollout, when the last update is done, reports and saves.

    Args:
        report: given the next point of the learning curve.
        save: writes a checkpoint; None to write none.
        meter: moved on with each step.
        log_every: user-steps between points, at least.
        checkpoint_every: user-steps between checkpoints, at least.
    """

    def __init__(
        self,
        report: Callable[[CurvePoint], None],
        save: Callable[[], None] | None,
        meter: Meter,
        log_every: int,
        checkpoint_every: int,
    ) -> None:
        super().__init__()
        self._report, self._save, self._meter = report, save, meter
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
        self._meter.update(self.num_timesteps)
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
        self._returns, self._reported, self._clock = [], steps, now
