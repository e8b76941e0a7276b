"""Training runs on long-term satisfaction, and what they are worth in worlds that they never saw."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recgym.agents.recurrent import RecurrentPolicy, RecurrentPPO
from recgym.encoders import linear_probe
from recgym.envs.long_term_satisfaction import task
from recgym.envs.simulation import Simulation
from recgym.files import read_json, write_json
from recgym.seeding import make_generator
from recgym.simulators.satisfaction_oracle import solve
from reproductions.running import kept
from reproductions.sim2rec.arms import ARMS, CHOCS, TARGET, Job

__all__ = ["bounds", "probe", "run_job", "serve"]

GROUP = 100
TEST_SEED = 20_241
PROBE_STEPS = (0, 1, 5, 20, 70, 139)


def _unseen(choc: float, users: int) -> Simulation:
    """Test users: the same hidden m, s in every world and for every arm."""
    simulation = Simulation(task(choc), users, seed=TEST_SEED)
    simulation.reset(TEST_SEED)
    return simulation


@torch.no_grad()
def serve(policy: RecurrentPolicy | None, choc: float, users: int) -> np.ndarray:
    """Return of each test user; of a random policy if None.

    Args:
        policy: acts greedily.
        choc: the world.
        users: how many; groups of 100 neighbours, or what the policy says, share a world and know it of each other.
    """
    simulation = _unseen(choc, users)
    generator = make_generator(TEST_SEED, "policy")
    state = None if policy is None else policy.init_state(users, "cpu")
    total = torch.zeros(users, dtype=torch.float64)
    for _ in range(simulation.model.config.horizon):  # type: ignore[attr-defined]
        if policy is None:
            action = torch.randint(simulation.num_candidates, (users,), generator=generator)
        else:
            assert state is not None
            decision, state = policy.act(simulation.observation(), state, generator, greedy=True)
            action = decision.action
        total += simulation.step(action).reward
    return total.numpy()


def bounds(choc: int, users: int, folder: Path) -> dict[str, float]:
    """Mean return of the test users under the exact per-user oracle and a random policy; kept in the folder."""
    return kept(folder / f"bounds_{choc}_{users}.json", partial(_bounds, choc, users))


def _bounds(choc: int, users: int) -> dict[str, float]:
    state = _unseen(float(choc), users).users
    blocks = [slice(start, start + 250) for start in range(0, users, 250)]  # a grid of all at once is large
    oracle = [solve(state.memory[b], state.sensitivity[b], float(choc), grid=81).start_value() for b in blocks]
    return {"oracle": float(torch.cat(oracle).mean()), "random": float(serve(None, float(choc), users).mean())}


@torch.no_grad()
def probe(policy: RecurrentPolicy, trained: tuple[int, ...], seed: int) -> dict[str, Any]:
    """How well a linear probe of v, fitted on the chocs that were trained on, foretells the others.

    Eight groups of 100 fresh users in each world follow the policy. The group signal alone is probed beside it: the
    mean signal of 100 users.
    """
    groups = 8
    chocs = [float(choc) for choc in CHOCS for _ in range(groups)]
    rows = [choc for choc in chocs for _ in range(GROUP)]
    simulation = Simulation(task(rows), len(rows), seed=seed)
    simulation.reset()
    generator, state = make_generator(seed, "probe"), policy.init_state(len(rows), "cpu")
    latents = []
    for step in range(PROBE_STEPS[-1] + 1):
        decision, state = policy.act(simulation.observation(), state, generator, greedy=True)
        if step in PROBE_STEPS:
            latents.append(state.context[::GROUP].clone())
        if step == 0:
            signal = simulation.profile()[:, 0].reshape(-1, GROUP).mean(1)
        simulation.step(decision.action)
    truth = torch.tensor(chocs)
    train = (truth[:, None] == torch.tensor(trained)).any(1)
    stacked = torch.cat(latents)
    times = len(PROBE_STEPS)
    pooled, _ = linear_probe(stacked, truth.repeat(times), train.repeat(times))
    by_step = {
        str(step): linear_probe(latent, truth, train)[0] for step, latent in zip(PROBE_STEPS, latents, strict=True)
    }
    alone, _ = linear_probe(signal[:, None], truth, train)
    return {"rmse": pooled, "rmse_by_step": by_step, "rmse_signal_alone": alone}


def run_job(job: Job, folder: Path, users: int, tests: tuple[int, ...]) -> dict[str, Any]:
    """Train one arm, or go on where it was left, and test it; the result is kept, and so is the policy."""
    return kept(folder / f"{job.key}.json", partial(_trained, job, folder, users, tests))


def _trained(job: Job, folder: Path, users: int, tests: tuple[int, ...]) -> dict[str, Any]:
    torch.set_num_threads(1)
    start = time.perf_counter()
    place = folder / job.key
    before = 0.0
    agent = job.agent()
    if (place / "checkpoint").exists():
        agent = RecurrentPPO.load(place, agent.task)
        before = float(read_json(place / "clock.json"))
    while agent.steps < job.steps:
        agent.learn_some(job.steps, 1_000_000)
        agent.save(place / "checkpoint")
        write_json(place / "clock.json", before + time.perf_counter() - start)
    trained = before + time.perf_counter() - start
    result: dict[str, Any] = {
        "setting": job.setting, "arm": job.arm, "seed": job.seed, "steps": agent.steps,
        "seconds": round(trained, 1), "curve": agent.curve.to_json()[:: max(len(agent.curve.points) // 20, 1)],
        "tests": {str(choc): _test(agent, choc, users, folder) for choc in tests},
    }  # fmt: skip
    if ARMS[job.arm].world:
        result["probe"] = probe(agent.policy(GROUP), job.worlds(), job.seed)
        alone = serve(agent.policy(1), float(TARGET), users).mean()
        result["alone"] = _normalised(alone, bounds(TARGET, users, folder))
    return result


def _normalised(value: float, bound: dict[str, float]) -> float:
    return float((value - bound["random"]) / (bound["oracle"] - bound["random"]))


def _test(agent: RecurrentPPO, choc: int, users: int, folder: Path) -> dict[str, float]:
    bound = bounds(choc, users, folder)
    value = float(serve(agent.policy(GROUP), float(choc), users).mean())
    return {"return": value, "score": _normalised(value, bound), "of_oracle": value / bound["oracle"]}
