"""The Gymnasium face of a simulation: one vector environment, all users in one batched call."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import batch_space

from recgym.arrays import from_numpy, to_numpy
from recgym.envs.actions import action_space, check_actions
from recgym.envs.autoreset import AutoresetMode
from recgym.envs.rendering import METADATA, viewer_for
from recgym.envs.simulation import Simulation
from recgym.envs.task import Task
from recgym.envs.transition import Transition

__all__ = ["FEW_USERS", "RecVectorEnv", "default_device", "numpy_observation", "root_seed", "step_info"]

FEW_USERS = 4096
"""Up to this many users, numpy arrays step faster than tensors on a CPU (``benchmarks/env_speed.py``)."""
_ALL_ROWS = slice(None)


def default_device(task: Task, num_users: int) -> str:
    """``"numpy"`` for few users of a model that runs on it, else ``"cpu"``."""
    return "numpy" if task.model.runs_on_numpy and num_users <= FEW_USERS else "cpu"


def numpy_observation(simulation: Simulation) -> Any:
    """The batched observation on the host: one array, or a dictionary of arrays."""
    observation = simulation.observation()
    if isinstance(observation, dict):
        return {key: to_numpy(value) for key, value in observation.items()}
    return to_numpy(observation)


def step_info(simulation: Simulation, transition: Transition | None, rows: slice | int = _ALL_ROWS) -> dict[str, Any]:
    """What ``info`` holds, every array with the batch axis first, or without it for a single row.

    ``slate`` ``[B, K]`` item ids, ``feedback`` channel name to ``[B, K]``, ``costs`` name to ``[B]`` (all three absent
    at reset), ``group`` ``[B]`` where users form groups, ``action_mask`` ``[B, M]`` where the task masks anything.
    On the level of retention also ``session`` ``[B]``, the session that the user is in now (from 0), and, absent at
    reset, ``session_ended`` ``[B]``, whether one ended with this step, and ``return_gap_s`` ``[B]``, the time away
    after it: infinity for never, 0 where none ended.
    """
    info: dict[str, Any] = {}
    if transition is not None:
        feedback = to_numpy(transition.response.feedback)[rows]
        info["slate"] = to_numpy(transition.slate)[rows].copy()
        info["feedback"] = {name: feedback[..., i] for i, name in enumerate(simulation.channels)}
        if transition.costs:
            info["costs"] = {name: to_numpy(cost)[rows] for name, cost in transition.costs.items()}
        if transition.return_gap_s is not None:
            gap = to_numpy(transition.return_gap_s)[rows]
            info["session_ended"] = ~np.isnan(gap)  # Gymnasium's checks take NaN for a difference, so it stays inside
            info["return_gap_s"] = np.nan_to_num(gap, nan=0.0, posinf=np.inf)
    group = simulation.group()
    if group is not None:
        info["group"] = to_numpy(group)[rows].copy()
    if simulation.task.level == "retention":
        info["session"] = to_numpy(simulation.session)[rows].copy()
    if simulation.task.mask_consumed:
        info["action_mask"] = to_numpy(simulation.allowed())[rows]
    return info


class RecVectorEnv(gym.vector.VectorEnv[Any, Any, Any]):
    """B simulated users as one Gymnasium vector environment.

    Args:
        task: what is simulated.
        num_envs: B.
        autoreset_mode: when an ended episode starts anew. ``NEXT_STEP``: the next step ignores the action of that row,
            gives its first observation, reward 0 and no end. ``SAME_STEP``: the step that ends it already gives the
            next first observation; the last one is in ``info["final_obs"]``, its info in ``info["final_info"]``.
            ``DISABLED``: never; call ``reset(options={"reset_mask": mask})``.
        device: ``"numpy"``, ``"cpu"`` or another torch device; by default the fastest for this many users.
        seed: root seed, used until ``reset(seed=...)`` gives another; drawn if None.
        render_mode: how :meth:`render` shows slates, choices and (hidden) moods to people: ``"human"`` prints those of
            the first user with each step, ``"ansi"`` gives a text a user, ``"rgb_array"`` a picture a user.

    Raises:
        ValueError: there is no such render mode.
    """

    def __init__(
        self,
        task: Task,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        device: str | None = None,
        seed: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**METADATA, "autoreset_mode": self.autoreset_mode}
        self.render_mode = render_mode
        self._viewer = viewer_for(render_mode)
        self.num_envs = num_envs
        self.simulation = Simulation(
            task, num_envs, device=device or default_device(task, num_envs), seed=root_seed(seed)
        )
        self.single_observation_space = task.observer.space(task.sizes)
        self.single_action_space = action_space(task)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._ended = np.zeros(num_envs, dtype=bool)
        self._started = False

    @property
    def task(self) -> Task:
        """What is simulated."""
        return self.simulation.task

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start all users anew, or those of ``options["reset_mask"]`` (a bool array ``[B]``).

        Raises:
            ValueError: the seed is not one integer, the mask is not a bool array ``[B]``, or the environment was never
                reset as a whole.
        """
        if seed is not None and not isinstance(seed, int | np.integer):
            raise ValueError(f"one seed starts all users: found {type(seed).__name__}, expected an integer")
        mask = (options or {}).get("reset_mask")
        if mask is None:
            self.simulation.reset(seed)
            self._ended = np.zeros(self.num_envs, dtype=bool)
            self._started = True
        else:
            self._reset_masked(mask, seed)
        if self._viewer is not None:
            self._viewer.saw(self.simulation)
        return numpy_observation(self.simulation), step_info(self.simulation, None)

    def _reset_masked(self, mask: Any, seed: int | None) -> None:
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (self.num_envs,):
            found = f"{mask.dtype} array {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
            raise ValueError(f"options['reset_mask'] must be a bool array of shape ({self.num_envs},), found {found}")
        if not self._started:
            raise ValueError("reset() of all users must come before a reset with a mask")
        if seed is not None:
            raise ValueError("a seed starts all users anew; it cannot go with options['reset_mask']")
        self.simulation.reset_rows(from_numpy(mask, self.simulation.device))
        self._ended = self._ended & ~mask

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Show every user a slate.

        Raises:
            ValueError: an action lies outside the space, or ``reset`` has not been called.
        """
        if not self._started:
            raise ValueError("reset() must be called before step()")
        simulation = self.simulation
        actions = check_actions(simulation.task, np.asarray(actions), self.num_envs)
        if self.autoreset_mode is AutoresetMode.DISABLED and self._ended.any():
            raise ValueError(
                f"{int(self._ended.sum())} users have ended their episode; with autoreset disabled they must be reset "
                "by reset(options={'reset_mask': mask}) before the next step"
            )
        transition = simulation.step(from_numpy(actions, simulation.device))
        reward = to_numpy(transition.reward).copy()
        terminated, truncated = to_numpy(transition.terminated).copy(), to_numpy(transition.truncated)
        ended = terminated | truncated
        if self.autoreset_mode is AutoresetMode.NEXT_STEP and self._ended.any():
            pending = self._ended
            simulation.reset_rows(from_numpy(pending, simulation.device))
            reward = np.where(pending if reward.ndim == 1 else pending[:, None], reward.dtype.type(0), reward)
            terminated, truncated, ended = terminated & ~pending, truncated & ~pending, ended & ~pending
            info = _blank(step_info(simulation, transition), pending)
        else:
            info = step_info(simulation, transition)
        self._ended = ended
        if self.autoreset_mode is AutoresetMode.SAME_STEP and ended.any():
            info = self._restart(ended, info)
        if self._viewer is not None:
            self._viewer.saw(self.simulation, transition)
        return numpy_observation(simulation), reward, terminated, truncated, info

    def _restart(self, ended: np.ndarray, info: dict[str, Any]) -> dict[str, Any]:
        """New users in the ended rows; the last observation and info of the old ones move into ``final_*``."""
        last = numpy_observation(self.simulation)
        final = np.full(self.num_envs, None, dtype=object)
        for row in np.flatnonzero(ended):  # Gymnasium wants one object per ended row, so this loop cannot be batched.
            final[row] = {key: value[row] for key, value in last.items()} if isinstance(last, dict) else last[row]
        self.simulation.reset_rows(from_numpy(ended, self.simulation.device))
        self._ended = np.zeros(self.num_envs, dtype=bool)
        info["final_info"] = dict(info)
        info = _blank(info, ended)
        info.update(step_info(self.simulation, None))  # groups and masks of the users who are there now
        info["final_obs"] = final
        info["_final_obs"] = info["_final_info"] = ended
        return info

    def render(self) -> tuple[Any, ...] | None:
        """What there is to see after the last step, for each user: texts or pictures ``[H, W, 3]``; None for "human".

        Raises:
            ValueError: ``reset`` has not been called.
        """
        if self._viewer is None:
            return None
        if not self._started:
            raise ValueError("reset() must be called before render()")
        if self._viewer.mode == "human":
            return None
        return tuple(self._viewer.render(self.simulation, row) for row in range(self.num_envs))

    def action_masks(self) -> np.ndarray:
        """Which candidates may be chosen, ``[B, M]``, or ``[B, K * M]`` for slates, as MaskablePPO reads it."""
        allowed = to_numpy(self.simulation.allowed())
        return np.tile(allowed, (1, self.task.slate_size))

    def get_state(self) -> Any:
        """A copy of everything that changes, for branching; see :meth:`Simulation.get_state`."""
        return self.simulation.get_state(), self._ended.copy()

    def set_state(self, state: Any) -> None:
        """Go back to a state from :meth:`get_state`."""
        simulation, ended = state
        self.simulation.set_state(simulation)
        self._ended = ended.copy()
        self._started = True
        if self._viewer is not None:
            self._viewer.forget()


def _blank(info: dict[str, Any], rows: np.ndarray) -> dict[str, Any]:
    """The info of a step whose masked rows were a reset: their slate shows nothing and has no feedback."""
    keep = ~rows
    shown = keep[:, None]
    blank = dict(info)
    blank["slate"] = np.where(shown, info["slate"], -1)
    blank["feedback"] = {name: value * shown for name, value in info["feedback"].items()}
    if "costs" in info:
        blank["costs"] = {name: value * keep for name, value in info["costs"].items()}
    if "session_ended" in info:
        blank["session_ended"] = info["session_ended"] & keep
        blank["return_gap_s"] = np.where(keep, info["return_gap_s"], 0.0)
    for key in ("slate", "feedback", "costs", "session_ended", "return_gap_s"):
        if key in info:
            blank[f"_{key}"] = keep
    return blank


def root_seed(seed: int | None) -> int:
    """The seed, or a fresh one of 32 bits."""
    return int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
