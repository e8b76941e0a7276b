"""The learned setting: a log of known users, simulators fitted to it, and policies that go back to the truth."""

import time
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recgym.agents import (
    Policy,
    RandomPolicy,
    RecurrentPPO,
    RecurrentPPOConfig,
    ScoredPolicy,
    Sim2RecConfig,
)
from recgym.data import InteractionLog
from recgym.envs import Task
from recgym.envs.learned_users import task as learned_users
from recgym.envs.short_video import FEEDBACK_REWARD
from recgym.envs.short_video import task as short_video
from recgym.evaluation.baselines import action_spec, greedy_by_model
from recgym.evaluation.oracle import OneStepOracle
from recgym.evaluation.policy_family import policy_family
from recgym.evaluation.ranking_agreement import RankingConfig, ranking_agreement
from recgym.evaluation.rollout import rollout
from recgym.evaluation.truth import in_truth
from recgym.seeding import make_generator
from recgym.simulators import ShortVideoConfig
from recgym.simulators.learned import FittedSimulator, SetConfig, SimulatorSet, fit_set
from reproductions.claims import Claim, difference
from reproductions.running import kept

__all__ = ["LearnedJob", "World", "claims", "rows", "run_learned", "run_reference"]

VIDEOS, CANDIDATES, WINDOW = 300, 10, 20
LOG_USERS, LOG_DAYS = 3000, 14
USERS, GROUP = 512, 64
TEST_USERS, TEST_SEED = 2000, 20_241
MEMBERS = 8


@dataclass(frozen=True)
class World:
    """The truth, its log and what is learned from it; everything follows from the folder.

    Attributes:
        folder: keeps the fitted set.
    """

    folder: Path

    @cached_property
    def truth(self) -> Task:
        """Short videos, one at a time, session by session."""
        return short_video(num_candidates=CANDIDATES, config=ShortVideoConfig(num_videos=VIDEOS), window=WINDOW)

    @cached_property
    def behaviour(self) -> Policy[Any]:
        """What wrote the log: it knows stated interests only, and shows random videos in three cases of ten."""
        topics = self.truth.model.item_features

        def affinity(observation: dict[str, Any]) -> Any:
            stated = observation["profile"]
            return (topics[observation["candidates"]][..., : stated.shape[1]] * stated[:, None]).sum(-1)

        return ScoredPolicy(action_spec(self.truth), affinity, temperature=0.5, mix=0.3)

    @cached_property
    def log(self) -> InteractionLog:
        """One session of each of 3,000 users."""
        played = rollout(self.behaviour, self.truth, users=LOG_USERS, seeds=(0,), record=True)
        arrivals = make_generator(0, "arrivals", device="numpy").random(LOG_USERS) * LOG_DAYS * 86_400.0
        return played.to_log(arrivals_s=arrivals)

    @cached_property
    def members(self) -> tuple[FittedSimulator, ...]:
        """Eight simulators of the log."""
        return fit_set(self.log, SetConfig(members=MEMBERS), 0, self.folder / "set").members

    def task(self, member: int | None) -> Task:
        """Users of one member, or of the whole set, with the truth's candidates and reward."""
        first = self.members[0 if member is None else member]
        task = learned_users(first, slate_size=1, num_candidates=CANDIDATES, reward=FEEDBACK_REWARD, horizon=200)
        return task if member is not None else replace(task, model=SimulatorSet(self.members))

    def in_truth(self, policy: Policy[Any]) -> Policy[Any]:
        """A policy of learned users, put before true ones: profiles are encoded as those of the log were."""
        return in_truth(policy, self.members[0], self.log)


@dataclass(frozen=True)
class LearnedJob:
    """One training run on learned users.

    Attributes:
        arm: ``sim2rec`` (the set), ``dr_osi`` (the set, without v) or ``one`` (a single member, another one each seed).
        seed: root seed.
        steps: user-steps to learn from.
    """

    arm: str
    seed: int
    steps: int

    @property
    def key(self) -> str:
        """A name for files."""
        return f"learned_{self.arm}_{self.seed}_{self.steps}"


def run_learned(job: LearnedJob, folder: Path) -> dict[str, Any]:
    """Train one arm on learned users and test it on true ones; the result is kept."""
    return kept(folder / f"{job.key}.json", partial(_trained, job, folder))


def _trained(job: LearnedJob, folder: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    world = World(folder)
    config = RecurrentPPOConfig(gae_lambda=0.98, learning_rate=3e-3, rollout_steps=32, batch_steps=2000)
    made = Sim2RecConfig(config) if job.arm == "sim2rec" else config
    task = world.task(job.seed % MEMBERS if job.arm == "one" else None)
    agent = RecurrentPPO(made, task, USERS, job.seed)
    start = time.perf_counter()
    agent.learn(job.steps)
    seconds = time.perf_counter() - start
    policy = agent.policy(GROUP)
    return {
        "arm": job.arm, "seed": job.seed, "steps": agent.steps, "seconds": round(seconds, 1),
        "learned": _value(policy, task), "truth": _value(world.in_truth(policy), world.truth),
    }  # fmt: skip


def _value(policy: Any, task: Task) -> float:
    played = rollout(policy, task, users=TEST_USERS, seeds=(TEST_SEED,), greedy=True, max_steps=200)
    return float(played.episodes.reward.mean())


def run_reference(folder: Path) -> dict[str, Any]:
    """What simple policies are worth in the truth, and how the set ranks a family of policies; kept."""
    return kept(folder / "learned_reference.json", partial(_reference, folder))


def _reference(folder: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    world = World(folder)
    first, task = world.members[0], world.task(None)
    values = {
        "random": _value(RandomPolicy(action_spec(world.truth)), world.truth),
        "behaviour": _value(world.behaviour, world.truth),
        "greedy by one member": _value(world.in_truth(greedy_by_model(first, task)), world.truth),
        "one-step oracle": _value(OneStepOracle, world.truth),
    }
    family = policy_family(first, world.log, task, "watch_time")
    agreement = ranking_agreement(
        family, world.truth, task, in_truth=world.in_truth, config=RankingConfig(users=500, seeds=(0, 1))
    )
    return {"values": values, "ranking": agreement.to_json()}


def rows(runs: list[dict[str, Any]], reference: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns in the truth: simple policies, then each arm by seed."""
    simple = [{"setting": "learned", "arm": name, "truth": value} for name, value in reference["values"].items()]
    trained = [{"setting": "learned", **run} for run in runs]
    return [*simple, *trained, {"setting": "learned", "arm": "ranking of policies", **reference["ranking"]}]


def claims(runs: list[dict[str, Any]], reference: dict[str, Any]) -> list[Claim]:
    """Those that the finished runs can decide."""
    truth = {arm: {r["seed"]: r["truth"] for r in runs if r["arm"] == arm} for arm in ("sim2rec", "one")}
    common = sorted(set(truth["sim2rec"]) & set(truth["one"]))
    tau = reference["ranking"]["kendall_tau"]
    made = [
        Claim("learned users: Kendall's tau of policies in the set and in the truth", tau["mean"], tau["low"],
              tau["high"], 0.7, tau["mean"] >= 0.7),
    ]  # fmt: skip
    if len(common) > 1:
        ours, theirs = ([truth[arm][seed] for seed in common] for arm in ("sim2rec", "one"))
        mean = difference(
            f"learned users, {len(common)} seeds: true return of sim2rec on the set minus one member", ours, theirs
        )
        worst = float(np.min(ours) - np.min(theirs))
        made += [
            replace(mean, holds=mean.value > 0),
            Claim("learned users: the same of the worst seeds", worst, worst, worst, 0.0, worst > 0),
        ]
    return made
