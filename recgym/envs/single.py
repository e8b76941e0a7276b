"""One simulated user as a plain Gymnasium environment."""

import inspect
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from recgym.arrays import from_numpy, to_numpy
from recgym.envs.actions import action_space, check_action
from recgym.envs.autoreset import AutoresetMode
from recgym.envs.encoded import AnyEncoder, encoded_task
from recgym.envs.rendering import METADATA, viewer_for
from recgym.envs.simulation import Simulation
from recgym.envs.task import Task
from recgym.envs.vector import RecVectorEnv, default_device, root_seed, step_info

__all__ = ["RecEnv", "faces"]


def _row(tree: Any) -> Any:
    """Row 0, on the host, of an array or of every array of a dictionary."""
    if isinstance(tree, dict):
        return {key: to_numpy(value)[0] for key, value in tree.items()}
    return to_numpy(tree)[0]


class RecEnv(gym.Env[Any, Any]):
    """One simulated user: the B = 1 view of a simulation.

    Args:
        task: what is simulated.
        device: ``"numpy"`` or a torch device; by default the faster one for a single user.
        seed: root seed, used until ``reset(seed=...)`` gives another; drawn if None.
        render_mode: how :meth:`render` shows the user's slate, choice and (hidden) mood to people: ``"human"`` prints
            it with each step, ``"ansi"`` gives text, ``"rgb_array"`` a picture; None does nothing.

    Raises:
        ValueError: there is no such render mode.
    """

    metadata: dict[str, Any] = METADATA

    def __init__(
        self, task: Task, *, device: str | None = None, seed: int | None = None, render_mode: str | None = None
    ) -> None:
        self.render_mode = render_mode
        self._viewer = viewer_for(render_mode)
        self.simulation = Simulation(task, 1, device=device or default_device(task, 1), seed=root_seed(seed))
        self.observation_space = task.observer.space(task.sizes)
        self.action_space = action_space(task)
        self._started = False

    @property
    def task(self) -> Task:
        """What is simulated."""
        return self.simulation.task

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Draw a new user and start a session."""
        super().reset(seed=seed)
        self.simulation.reset(seed)
        self._started = True
        if self._viewer is not None:
            self._viewer.saw(self.simulation)
        return _row(self.simulation.observation()), step_info(self.simulation, None, 0)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Show the user a slate.

        Raises:
            ValueError: the action lies outside the space, or ``reset`` has not been called.
        """
        if not self._started:
            raise ValueError("reset() must be called before step()")
        simulation = self.simulation
        transition = simulation.step(from_numpy(check_action(simulation.task, action), simulation.device))
        if self._viewer is not None:
            self._viewer.saw(self.simulation, transition)
        reward = transition.reward
        return (
            _row(simulation.observation()),
            float(reward[0]) if reward.ndim == 1 else to_numpy(reward)[0],
            transition.terminated.item(),
            transition.truncated.item(),
            step_info(simulation, transition, 0),
        )

    def render(self) -> Any:
        """What there is to see after the last step: None, text, or a picture ``[H, W, 3]``, as ``render_mode`` says.

        Raises:
            ValueError: ``reset`` has not been called.
        """
        if self._viewer is None:
            return None
        if not self._started:
            raise ValueError("reset() must be called before render()")
        return None if self._viewer.mode == "human" else self._viewer.render(self.simulation, 0)

    def action_masks(self) -> np.ndarray:
        """Which candidates may be chosen, ``[M]``, or ``[K * M]`` for slates, as MaskablePPO reads it."""
        return np.tile(to_numpy(self.simulation.allowed())[0], self.task.slate_size)

    def get_state(self) -> Any:
        """A copy of everything that changes, for branching; see :meth:`Simulation.get_state`."""
        return self.simulation.get_state()

    def set_state(self, state: Any) -> None:
        """Go back to a state from :meth:`get_state`."""
        self.simulation.set_state(state)
        self._started = True
        if self._viewer is not None:
            self._viewer.forget()


def _check_settings(make_task: Callable[..., Task], settings: dict[str, Any]) -> None:
    """Raise a ``TypeError``, as a call would, that also says which settings there are or what one should be."""
    known = inspect.signature(make_task, eval_str=True).parameters
    for name, value in settings.items():
        if name not in known:
            raise TypeError(f"there is no setting {name!r}; there are: {', '.join(known) or 'none'}")
        wanted = known[name].annotation
        if isinstance(value, str) and wanted in (int, float, bool):
            raise TypeError(f"{name} is {value!r}, expected a value of type {wanted.__name__}")


def faces(make_task: Callable[..., Task]) -> tuple[Callable[..., RecEnv], Callable[..., RecVectorEnv]]:
    """The two entry points that Gymnasium's registry wants, from one function that makes the task.

    Args:
        make_task: a function of keyword arguments, which become those of ``gym.make`` and ``gym.make_vec``; these take
            ``encoder`` besides, through which users are seen, see :func:`recgym.envs.encoded_task`, and
            ``render_mode``, see :class:`RecEnv`.

    Returns:
        A function that makes a :class:`RecEnv`, and one that makes a :class:`RecVectorEnv`.
    """

    def task(encoder: AnyEncoder | None, settings: dict[str, Any]) -> Task:
        _check_settings(make_task, settings)
        made = make_task(**settings)
        return made if encoder is None else encoded_task(made, encoder)

    def env(
        *,
        device: str | None = None,
        seed: int | None = None,
        encoder: AnyEncoder | None = None,
        render_mode: str | None = None,
        **settings: Any,
    ) -> RecEnv:
        return RecEnv(task(encoder, settings), device=device, seed=seed, render_mode=render_mode)

    def vector_env(
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        device: str | None = None,
        seed: int | None = None,
        encoder: AnyEncoder | None = None,
        render_mode: str | None = None,
        **settings: Any,
    ) -> RecVectorEnv:
        return RecVectorEnv(
            task(encoder, settings), num_envs, autoreset_mode=autoreset_mode, device=device, seed=seed,
            render_mode=render_mode,
        )  # fmt: skip

    env.__doc__ = vector_env.__doc__ = make_task.__doc__
    setattr(env, "metadata", METADATA)  # noqa: B010 - gym.make looks for it on what makes the environment
    return env, vector_env
