"""A simulation as a Stable-Baselines3 ``VecEnv``, without copies and without a process or object a user."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from recgym.arrays import from_numpy, to_numpy
from recgym.envs.actions import action_space, check_actions
from recgym.envs.rendering import viewer_for
from recgym.envs.simulation import Simulation
from recgym.envs.task import Task
from recgym.envs.vector import default_device, numpy_observation, root_seed

__all__ = ["SB3VecEnv"]


class SB3VecEnv(VecEnv):
    """B simulated users for Stable-Baselines3: ended episodes restart in the same step.

    ``infos`` holds, for a row whose episode ended: ``terminal_observation``, ``TimeLimit.truncated`` and ``episode``
    (with the return ``r``, the steps ``l`` and the seconds of simulated time ``t``); for other rows one shared empty
    dictionary, unless ``step_infos`` is on.

    Args:
        task: what is simulated; its reward must be a scalar.
        num_envs: B.
        device: as in :class:`recgym.envs.RecVectorEnv`.
        seed: root seed; drawn if None.
        step_infos: whether each row gets its slate and feedback at every step, which costs a dictionary a user.
        render_mode: ``"human"`` prints the first user's slates, choices and (hidden) mood with each step;
            ``"rgb_array"`` lets :meth:`render` give one picture of all users, tiled.

    Raises:
        ValueError: there is no such render mode.
    """

    def __init__(
        self,
        task: Task,
        num_envs: int,
        *,
        device: str | None = None,
        seed: int | None = None,
        step_infos: bool = False,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, "human", "rgb_array"):
            raise ValueError(f"found render_mode {render_mode!r}, expected human, rgb_array or None")
        self.simulation = Simulation(
            task, num_envs, device=device or default_device(task, num_envs), seed=root_seed(seed)
        )
        self.render_mode = render_mode
        self._viewer = viewer_for(render_mode)
        super().__init__(num_envs, task.observer.space(task.sizes), action_space(task))
        self.step_infos = step_infos
        self._actions: np.ndarray = np.empty(0)
        self._returns = np.zeros(num_envs, dtype=np.float64)
        self._blank: list[dict[str, Any]] = [{}] * num_envs

    @property
    def task(self) -> Task:
        """What is simulated."""
        return self.simulation.task

    def reset(self) -> Any:
        """Start all users anew; with the seed last given to :meth:`seed`, if any."""
        self.simulation.reset(self._seeds[0])
        self._reset_seeds()
        self._returns[:] = 0.0
        if self._viewer is not None:
            self._viewer.saw(self.simulation)
        return numpy_observation(self.simulation)

    def step_async(self, actions: np.ndarray) -> None:
        """Take the actions.

        Raises:
            ValueError: an action lies outside the space.
        """
        self._actions = check_actions(self.task, np.asarray(actions), self.num_envs)

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Step all users."""
        simulation = self.simulation
        transition = simulation.step(from_numpy(self._actions, simulation.device))
        reward = to_numpy(transition.reward)
        if reward.ndim != 1:
            raise ValueError(
                f"{self.task.name}: Stable-Baselines3 needs a scalar reward, found shape {reward.shape[1:]}"
            )
        terminated, truncated = to_numpy(transition.terminated), to_numpy(transition.truncated)
        ended = terminated | truncated
        self._returns += reward
        infos = self._blank
        if self.step_infos:
            infos = self._step_infos(transition.slate, transition.response.feedback)
        if ended.any():
            infos = self._restart(ended, truncated, infos)
        if self._viewer is not None:
            self._viewer.saw(simulation, transition)
        return numpy_observation(simulation), reward, ended, infos

    def _step_infos(self, slate: Any, feedback: Any) -> list[dict[str, Any]]:
        slates, values = to_numpy(slate), to_numpy(feedback)
        names = self.simulation.model.schema.names
        return [
            {"slate": slates[row], "feedback": {name: values[row, :, i] for i, name in enumerate(names)}}
            for row in range(self.num_envs)
        ]

    def _restart(self, ended: np.ndarray, truncated: np.ndarray, infos: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """New users in the ended rows; Stable-Baselines3 wants one dictionary a row for what ended."""
        last = numpy_observation(self.simulation)
        steps, seconds = to_numpy(self.simulation.steps), to_numpy(self.simulation.clock_s)
        infos = list(infos)
        for row in np.flatnonzero(ended):
            terminal = {key: value[row] for key, value in last.items()} if isinstance(last, dict) else last[row]
            infos[row] = {
                **infos[row],
                "terminal_observation": terminal,
                "TimeLimit.truncated": bool(truncated[row]),
                "episode": {"r": float(self._returns[row]), "l": int(steps[row]), "t": float(seconds[row])},
            }
        self._returns[ended] = 0.0
        self.simulation.reset_rows(from_numpy(ended, self.simulation.device))
        return infos

    def render(self, mode: str | None = None) -> np.ndarray | None:
        """All users in one picture ``[H, W, 3]``; None for ``"human"``, which prints with each step."""
        return None if self.render_mode == "human" else super().render(mode)

    def get_images(self) -> list[np.ndarray | None]:
        """A picture ``[H, W, 3]`` of each user; None without the mode ``"rgb_array"``."""
        if self._viewer is None or self._viewer.mode != "rgb_array":
            return [None] * self.num_envs
        return [self._viewer.render(self.simulation, row) for row in range(self.num_envs)]

    def action_masks(self) -> np.ndarray:
        """Which candidates may be chosen, ``[B, K * M]``."""
        return np.tile(to_numpy(self.simulation.allowed()), (1, self.task.slate_size))

    def close(self) -> None:
        """Nothing to release."""

    def get_attr(self, attr_name: str, indices: int | Iterable[int] | None = None) -> list[Any]:
        """The attribute of this environment, once a row."""
        return [getattr(self, attr_name)] * len(list(self._get_indices(indices)))

    def has_attr(self, attr_name: str) -> bool:
        """Whether there is such an attribute."""
        return hasattr(self, attr_name)

    def set_attr(self, attr_name: str, value: Any, indices: int | Iterable[int] | None = None) -> None:
        """Set the attribute for all rows; rows cannot differ."""
        setattr(self, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: int | Iterable[int] | None = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method once; a batched result is split into its rows."""
        result = getattr(self, method_name)(*method_args, **method_kwargs)
        rows = list(self._get_indices(indices))
        return [result[row] for row in rows] if isinstance(result, np.ndarray) else [result] * len(rows)

    def env_is_wrapped(self, wrapper_class: type, indices: int | Iterable[int] | None = None) -> list[bool]:
        """Rows are never wrapped one by one."""
        return [False] * len(list(self._get_indices(indices)))
