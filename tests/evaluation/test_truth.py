from typing import Any

import numpy as np
import polars as pl
import torch

from recgym.agents.base import NoState
from recgym.envs.simulation import Simulation
from recgym.evaluation.embedded import embedded_log
from recgym.evaluation.truth import in_truth
from recgym.seeding import make_generator
from recgym.simulators.learned import LearnedConfig, fit
from recgym.types import Decision, Generator


class Watching:
    """Remembers what it was shown."""

    seen: Any = None

    def init_state(self, users: int, device: str) -> NoState:
        return NoState()

    def act(
        self, observation: Any, state: NoState, generator: Generator, greedy: bool = False
    ) -> tuple[Decision, NoState]:
        self.seen = observation
        users = observation["profile"].shape[0]
        return Decision(torch.zeros(users, dtype=torch.int64), torch.zeros(users)), state


def test_true_profiles_are_shown_as_the_log_has_them() -> None:
    log, truth = embedded_log(users=60)
    fitted = fit(log, LearnedConfig(hidden=8, item_width=4, max_epochs=1))
    simulation = Simulation(truth, 5, seed=3)
    simulation.reset()
    observation: Any = simulation.observation()
    policy = Watching()
    generator = make_generator(0, "policy")
    in_truth(policy, fitted, log).act(observation, NoState(), generator)
    assert log.user_features is not None
    names = log.user_features.columns
    profile = observation["profile"].numpy()
    frame = pl.DataFrame({name: profile[:, i] for i, name in enumerate(names)})
    np.testing.assert_array_equal(policy.seen["profile"].numpy(), fitted.users.encode(frame, 5))
    assert policy.seen["profile"].shape[1] == fitted.snapshots.profile.shape[1] != profile.shape[1]
    assert policy.seen["candidates"] is observation["candidates"]
    shown = {name: value.numpy() for name, value in observation.items()}
    in_truth(policy, fitted, log).act(shown, NoState(), generator)
    np.testing.assert_array_equal(policy.seen["profile"], fitted.users.encode(frame, 5))
