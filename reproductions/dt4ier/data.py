"""The task, the log, and what new users do with a policy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from recgym.agents import MixturePolicy, Policy, RandomPolicy, ScoredPolicy
from recgym.data.transitions import TransitionStore
from recgym.envs import Simulation, Task, make_task
from recgym.evaluation import action_spec, record
from recgym.seeding import make_generator

__all__ = ["PARTS", "a_log", "behaviour", "serve", "task"]

PARTS = ("clicks", "return frequency")
GLITTER = (1.0, 0.5, 0.0, -0.5, -1.0)
TEMPERATURE = 0.3
_DAY_S = 86_400.0


def task() -> Task:
    """Twenty sessions a user, a state of up to 30 clicked items."""
    return make_task("recgym/Retention-v0", {"window": 30})


def behaviour(where: Task) -> dict[str, Policy[Any]]:
    """Random, and five that weigh glitter from much to against, beside half the interest that a user states."""
    features = torch.as_tensor(where.model.item_features)
    topics, glitter = features[:, :-1], features[:, -1]

    def scores(weight: float) -> Callable[[Any], Any]:
        def score(seen: Any) -> Any:
            offered = seen["candidates"]
            liked = (topics[offered] * seen["profile"][:, None, :]).sum(-1)
            return 0.5 * liked + weight * glitter[offered]

        return score

    spec = action_spec(where)
    softmax: dict[str, Policy[Any]] = {f"glitter {w:+g}": ScoredPolicy(spec, scores(w), TEMPERATURE) for w in GLITTER}
    return {"random": RandomPolicy(spec), **softmax}


def a_log(where: Task, steps: int, seed: int) -> TransitionStore:
    """A log of mixed quality: each user is served by one of the policies."""
    policies = list(behaviour(where).values())
    mixture = MixturePolicy(policies, (0.1, *[0.9 / (len(policies) - 1)] * (len(policies) - 1)))
    return record(mixture, where, steps, seed=seed)


def serve(
    policy: Policy[Any] | Callable[[Simulation], Policy[Any]], where: Task, users: int, seed: int, copies: int = 1
) -> Float64[np.ndarray, "copies users 2"]:
    """Clicks and sum of return frequencies of new users over an episode, actions greedy.

    A seed stands for the same users. How long their sessions are does not depend on what they are shown, so what
    policies do to them can be paired user by user.

    Args:
        policy: a policy, or how to make one of a simulation.
        where: the task.
        users: how many.
        seed: of the users.
        copies: rows are ``copies`` times as many users, all served at once, for a policy with a prompt for each row.
    """
    simulation = Simulation(where, users * copies, seed=seed)
    simulation.reset()
    actor: Any = policy if isinstance(policy, Policy) and not isinstance(policy, type) else policy(simulation)
    generator, state = make_generator(seed, "policy"), actor.init_state(users * copies, "cpu")
    alive, total = np.ones(users * copies, dtype=bool), np.zeros((users * copies, 2))
    while alive.any():
        decision, state = actor.act(simulation.observation(), state, generator, greedy=True)
        transition = simulation.step(decision.action)
        assert transition.return_gap_s is not None
        days = transition.return_gap_s.numpy() / _DAY_S
        total[:, 0] += alive * transition.response.feedback.sum((1, 2)).numpy()
        total[:, 1] += alive * np.where(np.isnan(days), 0.0, 1 / (1 + days))
        alive &= ~(transition.terminated | transition.truncated).numpy()
    return total.reshape(copies, users, 2)
