"""From a log to simulated users, and how far they can be trusted; without --data, of a log made for it."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recgym.agents import Policy, RandomPolicy
from recgym.data import describe, read_log, split_by_time
from recgym.envs import make_task
from recgym.evaluation import action_spec, greedy_by_model, rollout
from recgym.evaluation.fidelity import check_fidelity
from recgym.simulators.learned import LearnedConfig, fit

OUT = Path("runs/tutorial")


def make_log(folder: Path, users: int = 2000) -> None:
    """Two weeks of short videos shown at random, with what users said they like and what the videos are about."""
    task = make_task("recgym/ShortVideo-v0", {"num_candidates": 10})
    played = rollout(RandomPolicy(action_spec(task)), task, users=users, seeds=(0,), record=True)
    played.to_log(arrivals_s=np.random.default_rng(0).uniform(0, 14 * 86_400, users)).save(folder)


def main(data: Path, format: str, columns: str | None, epochs: int, users: int) -> None:
    log = read_log(data, format, columns=columns)
    found = describe(log)
    print(f"{found.rows:,} rows of {found.users:,} users and {found.items:,} items, {found.slates:,} slates")

    split = split_by_time(log, 0.2)  # the last fifth of the time is not fitted to
    fitted = fit(split.train, LearnedConfig(max_epochs=epochs), seed=0)
    report = check_fidelity(fitted, log, seed=0)
    fitted.with_gate(report.failures).save(OUT / "simulator")
    print(f"\n{'channel':12}  AUC   by popularity   calibration error   predicted / observed")
    for name, channel in report.channels.items():
        scores, popularity = channel.scores, channel.baselines["popularity"]
        print(f"{name:12} {scores.auc.mean:5.3f} {popularity.auc.mean:12.3f} {scores.ece:18.3f}", end="")
        print(f"{scores.rate_ratio.mean:18.2f} [{scores.rate_ratio.low:.2f}, {scores.rate_ratio.high:.2f}]")
    if report.free_run:
        print(f"simulated sessions are told from real ones with an AUC of {report.free_run.two_sample.auc.mean:.2f}")
    print("gate:", "passed" if report.passed else "; ".join(report.failures))
    print(*(f"note: {note}" for note in report.notes), sep="\n", end="\n\n")

    task = make_task("recgym/LearnedUsers-v0", {"simulator": OUT / "simulator"}, print)
    arms: dict[str, Policy[Any]] = {"random": RandomPolicy(action_spec(task)), "greedy": greedy_by_model(fitted, task)}
    for name, policy in arms.items():
        told = rollout(policy, task, users=users, seeds=(0, 1, 2)).summary()
        print(f"{name:8} {told['return']:5.2f} of {report.primary} a session [{told['low']:.2f}, {told['high']:.2f}]")


if __name__ == "__main__":
    torch.set_num_threads(1)  # small tensors are slower on more
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=OUT / "log")
    parser.add_argument("--format", default="recgym")
    parser.add_argument("--columns")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--users", type=int, default=500)
    given = parser.parse_args()
    if given.data == OUT / "log" and not given.data.exists():
        make_log(given.data)
    main(given.data, given.format, given.columns, given.epochs, given.users)
