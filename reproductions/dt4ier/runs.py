"""One arm: train it, settle what it is asked for on users of their own, and test it."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from recgym.agents import RandomPolicy
from recgym.agents.decision_transformer import DecisionTransformerPolicy, FeedbackAndReturns
from recgym.agents.decision_transformer.learning import prompt_of
from recgym.agents.decision_transformer.returns import logged_returns
from recgym.agents.offline import OFFLINE_CONFIGS, OfflineAgent
from recgym.data.transitions import TransitionStore
from recgym.envs import make_task
from recgym.evaluation import OneStepOracle, action_spec
from recgym.stats import rank_correlation
from reproductions.dt4ier.arms import SCALAR, Job, Size
from reproductions.dt4ier.data import a_log, serve, task
from reproductions.running import kept

__all__ = [
    "cells",
    "levels",
    "nearest",
    "reference",
    "run_job",
    "test_seed",
    "trained",
    "against",
    "asked",
    "chosen_cell",
    "episodes_of",
]

QUANTILES = (0.5, 0.7, 0.9, 0.97)
LEVELS = 7
LOG_SEED, VALIDATION_SEED, TEST_SEED = 1000, 2000, 3000

Points = Float64[np.ndarray, "G V"]


def test_seed(seed: int) -> int:
    """Of the users that all arms of a seed serve."""
    return TEST_SEED + seed


def episodes_of(log: TransitionStore) -> Float64[np.ndarray, "E 2"]:
    """Both returns of each episode of the log."""
    return logged_returns(log, FeedbackAndReturns().weights(log)).episodes


def levels(episodes: Float64[np.ndarray, "E 2"], axis: int, count: int = LEVELS) -> Points:
    """Prompts from little to much of one part: means of quantile groups of the log. The other part is at its mean."""
    edges = np.quantile(episodes[:, axis], np.linspace(0, 1, count + 1))
    group = np.clip(np.searchsorted(edges, episodes[:, axis], side="right") - 1, 0, count - 1)
    points = np.tile(episodes.mean(0), (count, 1))
    points[:, axis] = [episodes[group == g, axis].mean() for g in range(count)]
    return points


def cells(episodes: Float64[np.ndarray, "E 2"], count: int = LEVELS, within: int = 3) -> Points:
    """Prompts all over the support: groups by the first part, and within each by the second."""
    edges = np.quantile(episodes[:, 0], np.linspace(0, 1, count + 1))
    group = np.clip(np.searchsorted(edges, episodes[:, 0], side="right") - 1, 0, count - 1)
    return np.concatenate([levels(episodes[group == g], 1, within) for g in range(count)])


def nearest(episodes: Float64[np.ndarray, "E 2"], prompts: Points) -> float:
    """How far the loneliest prompt lies from the nearest episode of the log, in standard deviations of each part."""
    apart = (prompts[:, None] - episodes[None]) / episodes.std(0)
    return float(np.sqrt((apart**2).sum(-1)).min(1).max())


def asked(policy: DecisionTransformerPolicy, prompts: Points, users: int, seed: int) -> Float64[np.ndarray, "G 2"]:
    """What users do on average when each of the prompts is asked for."""
    rows = torch.from_numpy(np.repeat(prompts, users, axis=0)).float()
    found: np.ndarray = serve(policy.prompted(rows), task(), users, seed, len(prompts)).mean(1)
    return found


def trained(job: Job, log: TransitionStore, folder: Path | None) -> OfflineAgent:
    """The agent of a job, from its last checkpoint on."""
    if folder is not None and (folder / "checkpoint").exists():
        agent = OfflineAgent.load(folder, OFFLINE_CONFIGS)
    else:
        agent = OfflineAgent.of(job.config(), log, job.seed)
    return agent.fit(log, job.size.updates, folder=folder, stretch=500)


def run_job(job: Job, folder: Path) -> dict[str, Any]:
    """Train and test an arm; the result is kept, and training is taken up where it was left."""
    return kept(folder / f"{job.key}.json", partial(_run, job, folder))


def _run(job: Job, folder: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    start = time.process_time()
    log = a_log(task(), job.size.log_steps, LOG_SEED + job.seed)
    agent = trained(job, log, folder / job.key)
    result: dict[str, Any] = {"arm": job.arm, "seed": job.seed, "updates": agent.updates, "losses": agent.losses[-1]}
    policy = agent.policy()
    if isinstance(policy, DecisionTransformerPolicy):
        result |= _prompted(policy, job, log)
    else:
        result["test"] = _test(policy, job)
    return result | {"cpu_seconds": round(time.process_time() - start, 1)}


def _test(policy: Any, job: Job) -> list[float]:
    means: list[float] = serve(policy, task(), job.size.users, test_seed(job.seed))[0].mean(0).tolist()
    return means


def _prompted(policy: DecisionTransformerPolicy, job: Job, log: TransitionStore) -> dict[str, Any]:
    """The test with prompts; those of scalar arms are settled by what they themselves are told to raise."""
    episodes, size, validation = episodes_of(log), job.size, VALIDATION_SEED + job.seed
    weights = policy.weights.double().numpy()
    if job.arm in SCALAR:
        own = logged_returns(log, weights).episodes
        prompts = np.stack([prompt_of(own, quantile) for quantile in QUANTILES])
        found = asked(policy, prompts, size.validation, validation)
        mean = episodes.mean(0)
        # The task's reward is days away, whose sign in the measured parts is the return frequency.
        worth = (found / mean).sum(1) if job.arm == "dt_sum" else found[:, 1]
        best = int(worth.argmax())
        chosen = policy.prompted(torch.from_numpy(prompts[best : best + 1]).float())
        return {
            "prompt": prompts[best].tolist(), "validation": found[best].tolist(), "test": _test(chosen, job),
        }  # fmt: skip
    told: dict[str, Any] = {"prompt": policy.prompt[0].tolist(), "test": _test(policy, job)}
    if job.arm != "dt4ier":
        return told
    grid = cells(episodes)
    told |= {"cells": grid.tolist(), "cells_found": asked(policy, grid, size.validation, validation).tolist()}
    for axis in (0, 1):
        asks = levels(episodes, axis)
        found = asked(policy, asks, size.validation, test_seed(job.seed))
        told[f"axis {axis}"] = {
            "prompts": asks.tolist(), "found": found.tolist(),
            "spearman": rank_correlation(asks[:, axis], found[:, axis]), "nearest": nearest(episodes, asks),
        }  # fmt: skip
    return told | {"nearest": nearest(episodes, grid)}


def chosen_cell(ours: dict[str, Any], rival: dict[str, Any]) -> int:
    """The prompt whose lesser gain over a rival, in shares of the rival's parts, is largest on the validation users."""
    found, theirs = np.array(ours["cells_found"]), np.array(rival["validation"])
    return int((found / theirs - 1).min(1).argmax())


def against(job: Job, rival: str, folder: Path) -> dict[str, Any]:
    """DT4IER asked for what should be better than a scalar rival in both parts, on the users of the test; kept."""
    return kept(folder / f"{job.key}_against_{rival}.json", partial(_against, job, rival, folder))


def _against(job: Job, rival: str, folder: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    ours, theirs = run_job(job, folder), run_job(Job(rival, job.seed, job.size), folder)
    prompt = ours["cells"][chosen_cell(ours, theirs)]
    policy: Any = OfflineAgent.load(folder / job.key, OFFLINE_CONFIGS).policy()
    test = _test(policy.prompted(torch.tensor([prompt])), job)
    return {"seed": job.seed, "rival": rival, "prompt": prompt, "test": test, "theirs": theirs["test"]}


def reference(name: str, seed: int, size: Size, folder: Path) -> list[float]:
    """Both parts under a random policy, or the oracle that looks one step ahead for clicks; kept."""
    return kept(folder / f"{name}_{seed}_{size.users}.json", partial(_reference, name, seed, size))


def _reference(name: str, seed: int, size: Size) -> list[float]:
    where = task()
    policy: Any = RandomPolicy(action_spec(where))
    if name == "oracle":
        # Of the days away the next step alone says nothing, so what it looks for is the click.
        where, policy = make_task("recgym/Retention-v0", {"window": 30, "click_weight": 1.0}), OneStepOracle
    means: list[float] = serve(policy, where, size.users, test_seed(seed))[0].mean(0).tolist()
    return means
