"""Stable-Baselines3 PPO on long-term satisfaction, learning included: ``python -m benchmarks.sb3_ppo --json``.

256 users side by side, rollouts of a whole episode (140 steps), minibatches of 8,960, 4 epochs. Each seed trains from
scratch; what is timed is the whole of ``SB3Agent.learn``: environment, networks, updates and bookkeeping. Beside the
speed stands what was learned: the learning curve, and the return of the learned policy on new users, next to that of
random actions and to the known answers at choc 14 (see ``tests/truth``).

Torch runs on one thread: networks of this size gain little from a second, and threads that wait for each other make the
speed collapse as soon as another process takes a core.
"""

import statistics
import time
from dataclasses import asdict, dataclass
from typing import Any

import torch

from benchmarks.measure import finish, machine, options
from recgym.agents import ActionSpec, Policy, PPOConfig, RandomPolicy, SB3Agent
from recgym.envs import Task
from recgym.envs.long_term_satisfaction import task as long_term_satisfaction
from recgym.evaluation.rollout import rollout

__all__ = ["CONFIG", "Run", "main", "measure"]

NUM_ENVS = 256
TARGET = 25_000
CONFIG = PPOConfig(learning_rate=3e-3, n_steps=140, batch_size=8960, n_epochs=4, gamma=0.95, gae_lambda=0.98)
KNOWN_ANSWERS = {"random": 651, "best shared constant": 676, "best constant per user": 740, "per-user oracle": 781}


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        seed: root seed.
        steps: user-steps learned from.
        seconds: how long that took.
        steps_per_s: their quotient.
        learning_curve: rows of steps, return, low, high and episodes.
        greedy: return of the learned policy on new users, with its 95 % interval.
    """

    seed: int
    steps: int
    seconds: float
    steps_per_s: float
    learning_curve: list[dict[str, Any]]
    greedy: dict[str, float]


def _evaluate(policy: Policy[Any], task: Task, users: int) -> dict[str, float]:
    summary = rollout(policy, task, users=users, seeds=(1000,), greedy=True).summary()
    return {name: summary[name] for name in ("return", "low", "high")}


def measure(task: Task, seed: int, steps: int, users: int) -> Run:
    """Train one agent and evaluate it on ``users`` new users."""
    agent = SB3Agent(CONFIG, task, NUM_ENVS, seed)
    start = time.perf_counter()
    curve = agent.learn(steps)
    seconds = time.perf_counter() - start
    greedy = _evaluate(agent.policy(), task, users)
    return Run(seed, agent.steps, round(seconds, 2), agent.steps / seconds, curve.to_json(), greedy)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; a full run is kept in ``benchmarks/results/sb3_ppo.json``."""
    parser = options("sb3_ppo", __doc__)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    seeds, steps, users = ((0,), 100_000, 512) if args.quick else ((0, 1, 2), 2_500_000, 8192)
    task = long_term_satisfaction()
    runs = [measure(task, seed, steps, users) for seed in seeds]
    speeds = [run.steps_per_s for run in runs]
    body = machine(("recgym", "stable-baselines3", "numpy", "torch")) | {
        "env": task.name,
        "num_envs": NUM_ENVS,
        "agent": CONFIG.name,
        "settings": asdict(CONFIG),
        "steps_per_s": {"min": min(speeds), "median": statistics.median(speeds), "max": max(speeds), "target": TARGET},
        "random": _evaluate(RandomPolicy(ActionSpec(30, 1, 30)), task, users),
        "known_answers": KNOWN_ANSWERS,
        "runs": [asdict(run) for run in runs],
    }
    return finish("sb3_ppo", body, args, _table(runs, body["random"]))


def _table(runs: list[Run], random: dict[str, float]) -> str:
    lines = [f"{'seed':>6} {'steps':>10} {'steps/s':>9} {'return':>7} {'95 % interval':>16}"]
    lines += [
        f"{run.seed:6} {run.steps:10,} {run.steps_per_s:9,.0f} {run.greedy['return']:7.1f} "
        f"{run.greedy['low']:7.1f} to {run.greedy['high']:.1f}"
        for run in runs
    ]
    return "\n".join([*lines, f"random: {random['return']:.1f} ({random['low']:.1f} to {random['high']:.1f})"])


if __name__ == "__main__":
    raise SystemExit(main())
