"""Training runs, and what they are worth on users that they never saw."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

from recgym.agents import RandomPolicy
from recgym.agents.slateq import SlateQPolicy
from recgym.agents.slateq.slates import exact, greedy, slate_value
from recgym.arrays import to_numpy
from recgym.envs.simulation import Simulation
from recgym.evaluation import OneStepOracle, action_spec, rollout
from recgym.seeding import make_generator
from reproductions.running import kept
from reproductions.slateq.arms import Job, world

__all__ = ["inspect", "is_done", "reference", "run_job", "serve"]

TEST_SEED = 20_241
_INSPECTED = 2000
_WARM_UP = 15


def serve(policy: Any, seed: int, users: int) -> dict[str, Any]:
    """Minutes a session of the test users of a seed, and the mean quality of what they picked.

    Args:
        policy: acts greedily; or what makes one of a simulation.
        seed: which users.
        users: how many.
    """
    task = world()
    played = rollout(policy, task, users=users, seeds=(TEST_SEED + seed,), greedy=True, record=True)
    steps = played.steps[0]
    picked = steps.feedback[:, :, 0] > 0
    quality = to_numpy(task.model.quality)[steps.slate[picked]]  # type: ignore[attr-defined]
    return {
        "return": float(played.episodes.reward.mean()), "quality": float(quality.mean()),
        "steps": float(played.episodes.length.mean()), "returns": played.episodes.reward[0].tolist(),
    }  # fmt: skip


@torch.no_grad()
def inspect(policy: SlateQPolicy, seed: int) -> dict[str, float]:
    """What the policy's network makes of users who have been served for a while.

    ``choice_error`` is the mean distance of the choice model from the true probability that an item of the exact slate
    is picked; ``exact_minus_greedy`` how much more the exact slate is worth than the greedy one by the network's own
    values, in the mean and at the least.
    """
    simulation = Simulation(world(), _INSPECTED, seed=TEST_SEED + seed)
    simulation.reset()
    generator = make_generator(seed, "inspect")
    state = policy.init_state(_INSPECTED, "cpu")
    for _ in range(_WARM_UP):
        decision, state = policy.act(simulation.observation(), state, generator)
        simulation.step(decision.action)
    seen: Any = simulation.observation()
    outlook = policy.network(seen)
    size = simulation.task.slate_size
    best = exact(outlook.pickings, size)
    more = slate_value(outlook.pickings, best) - slate_value(outlook.pickings, greedy(outlook.pickings, size))
    truth = simulation.expected(simulation.slate_of(best)).feedback[:, :, 0]
    error = (outlook.log_choice(best).exp()[:, :-1] - truth).abs()
    return {
        "choice_error": float(error.mean()),
        "exact_minus_greedy": float(more.mean()), "least_exact_minus_greedy": float(more.min()),
    }  # fmt: skip


def run_job(job: Job, folder: Path, users: int) -> dict[str, Any]:
    """Train one arm and test it; the result is kept."""
    return kept(_place(job, folder, users), partial(_trained, job, users))


def is_done(job: Job, folder: Path, users: int) -> bool:
    """Whether the result of a run is kept."""
    return _place(job, folder, users).exists()


def _place(job: Job, folder: Path, users: int) -> Path:
    return folder / f"{job.key}_{users}.json"


def _trained(job: Job, users: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    agent = job.agent()
    start = time.perf_counter()
    agent.learn(job.steps)
    seconds = time.perf_counter() - start
    policy = agent.policy()
    assert isinstance(policy, SlateQPolicy)
    return {
        "arm": job.arm, "seed": job.seed, "learned": agent.steps, "seconds": round(seconds, 1),
        "steps_per_s": round(agent.steps / seconds), **serve(policy, job.seed, users), **inspect(policy, job.seed),
    }  # fmt: skip


def reference(seed: int, folder: Path, users: int) -> list[dict[str, Any]]:
    """The same users under random slates, and under the slates that are picked most in truth; kept."""
    return kept(folder / f"reference_{seed}_{users}.json", partial(_reference, seed, users))


def _reference(seed: int, users: int) -> list[dict[str, Any]]:
    torch.set_num_threads(1)
    policies = {"random": RandomPolicy(action_spec(world())), "one-step oracle": OneStepOracle}
    return [{"arm": name, "seed": seed, **serve(policy, seed, users)} for name, policy in policies.items()]
