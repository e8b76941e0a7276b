"""Tasks that together use every part of an environment, and environments that break one promise each."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import gymnasium as gym
import numpy as np

from recgym.arrays import to_numpy
from recgym.envs import (
    AutoresetMode,
    ChannelReward,
    FullCatalogue,
    HistoryObserver,
    Outcome,
    RecEnv,
    RecVectorEnv,
    SampledCandidates,
    Task,
    VectorReward,
)
from recgym.envs.observations import Observation, View
from recgym.envs.single import faces
from recgym.types import Array
from tests.testing.broken import Sound, budget_of

BROKEN = "tests/Broken-v0"


def small(**parts: Any) -> Task:
    """A small interest-evolution task: 60 documents, 8 candidates, slates of 2."""
    model = Sound()
    defaults: dict[str, Any] = {
        "reward": ChannelReward(model.schema, {"watch_time": 1.0}),
        "candidates": SampledCandidates(8),
        "slate_size": 2,
        "window": 5,
        "name": BROKEN,
    }
    return Task(model, **{**defaults, **parts})


def clicks(outcome: Outcome) -> Array:
    """A reward function of one's own: the number of clicks."""
    return outcome.response.feedback[:, :, 0].sum(1)


def masked() -> Task:
    """Consumed items are masked, sessions are cut, and clicks cost."""
    return small(mask_consumed=True, horizon=12, costs={"clicks": clicks}, reward=clicks)


def masked_catalogue() -> Task:
    """One item of the full catalogue, consumed ones masked."""
    return small(mask_consumed=True, candidates=FullCatalogue(), slate_size=1)


def preference() -> Task:
    """Ranks candidates by a vector, with masks."""
    return small(action="preference", mask_consumed=True)


def vector_reward() -> Task:
    """Two rewards side by side."""
    model = Sound()
    return small(reward=VectorReward((ChannelReward(model.schema, {"click": 1.0}), clicks)))


def shuffled() -> Task:
    """All items are candidates, in another order at each step."""
    return small(candidates=SampledCandidates(60))


@contextmanager
def registered(
    make_task: Callable[..., Task] = small,
    vector: type[RecVectorEnv] = RecVectorEnv,
    single: type[RecEnv] = RecEnv,
    **spec: Any,
) -> Iterator[str]:
    """The id under which an environment is in Gymnasium's registry for a while."""
    env, vector_env = faces(make_task)

    def own_env(**settings: Any) -> gym.Env[Any, Any]:
        return single(make_task(), **settings) if single is not RecEnv else env(**settings)

    def own_vector_env(num_envs: int, **settings: Any) -> RecVectorEnv:
        return (
            vector(make_task(), num_envs, **settings)
            if vector is not RecVectorEnv
            else vector_env(num_envs, **settings)
        )

    gym.register(BROKEN, own_env, vector_entry_point=cast(Any, own_vector_env), **spec)
    try:
        yield BROKEN
    finally:
        del gym.registry[BROKEN]


class BudgetObserver(HistoryObserver):
    """Shows the budget in place of the first interest."""

    def __call__(self, view: View) -> Observation:
        observation = super().__call__(view)
        assert isinstance(observation, dict)
        observation["profile"][:, 0] = view.users.budget  # type: ignore[attr-defined]
        return observation


class BudgetInInfo(RecVectorEnv):
    """Tells the budget that each user had before the step."""

    def step(self, actions: Any) -> Any:
        before = budget_of(self.simulation.users).copy()
        observation, reward, terminated, truncated, info = super().step(actions)
        return observation, reward, terminated, truncated, {**info, "patience": before}


class BudgetInSingleInfo(RecEnv):
    """Adds something to info that the vector environment does not."""

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated, truncated, {**info, "patience": 1}


class UnseededActions(RecVectorEnv):
    """Draws from numpy's global generator."""

    def step(self, actions: Any) -> Any:
        np.random.rand()  # noqa: NPY002 - what the check must find
        return super().step(actions)


class ForgetsSeed(RecVectorEnv):
    """A seed is ignored."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return super().reset(seed=None, options=options)


class ClipsActions(RecVectorEnv):
    """Takes what lies outside the space."""

    def step(self, actions: Any) -> Any:
        return super().step(np.clip(actions, 0, self.task.num_candidates - 1))


class SharesState(RecVectorEnv):
    """Hands out the simulation's own candidates."""

    def step(self, actions: Any) -> Any:
        observation, *rest = super().step(actions)
        observation["candidates"] = to_numpy(self.simulation.candidates)
        return (observation, *rest)


class ForgetsGenerator(RecVectorEnv):
    """A state does not hold the generator."""

    def set_state(self, state: Any) -> None:
        simulation, ended = state
        super().set_state((simulation._replace(generator=self.simulation.get_state().generator), ended))


class BothEnds(RecVectorEnv):
    """Every end is of both kinds."""

    def step(self, actions: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(actions)
        return observation, reward, terminated | truncated, terminated | truncated, info


class RewardsReset(RecVectorEnv):
    """Pays for the step that only resets."""

    def step(self, actions: Any) -> Any:
        pending = self._ended.copy()
        observation, reward, *rest = super().step(actions)
        if self.autoreset_mode is AutoresetMode.NEXT_STEP:
            reward = np.where(pending, np.float32(1), reward)
        return (observation, reward, *rest)


class ActsOnReset(RecVectorEnv):
    """Answers the action of the step that only resets."""

    def step(self, actions: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(actions)
        info["slate"] = (
            self.simulation.slate_of(np.asarray(actions)) if self.simulation.device == "numpy" else info["slate"]
        )
        return observation, reward, terminated, truncated, info


class FinalIsFirst(RecVectorEnv):
    """``final_obs`` holds the first observation of the next episode."""

    def step(self, actions: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(actions)
        if "final_obs" in info:
            for row in np.flatnonzero(info["_final_obs"]):
                info["final_obs"][row] = {key: value[row] for key, value in observation.items()}
        return observation, reward, terminated, truncated, info


class StaleMasks(RecVectorEnv):
    """Masks are those of the step before."""

    def step(self, actions: Any) -> Any:
        before = self.action_masks()[:, : self.task.num_candidates].copy()
        observation, reward, terminated, truncated, info = super().step(actions)
        return observation, reward, terminated, truncated, {**info, "action_mask": before}


class ResetsAll(RecVectorEnv):
    """A mask is taken for everybody."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        mask = (options or {}).get("reset_mask")
        return super().reset(seed=seed, options=None if mask is None else {"reset_mask": np.ones_like(mask)})


class GoesOn(RecVectorEnv):
    """Takes steps after an end, with autoreset disabled."""

    def step(self, actions: Any) -> Any:
        self._ended[:] = False
        return super().step(actions)


class Generous(RecVectorEnv):
    """Pays more to users who are alone."""

    def step(self, actions: Any) -> Any:
        observation, reward, *rest = super().step(actions)
        return (observation, reward * (2 if self.num_envs == 1 else 1), *rest)


class Doubles(RecVectorEnv):
    """Pays double, which Stable-Baselines3's face does not."""

    def step(self, actions: Any) -> Any:
        observation, reward, *rest = super().step(actions)
        return (observation, reward * 2, *rest)
