"""A test whose allocation learns, against a fixed split: what users lose meanwhile, and what is known at the end."""

import argparse
from typing import Any

import numpy as np
import torch

from recgym import abtest
from recgym.agents import Policy, ScoredPolicy
from recgym.envs import make_task
from recgym.evaluation import action_spec
from recgym.types import Array


def main(users: int, replications: int, pool: int) -> None:
    task = make_task("recgym/ShortVideo-v0", {"num_candidates": 10})
    spec = action_spec(task)
    features = torch.as_tensor(task.model.item_features)

    def interest(seen: dict[str, Any]) -> Array:
        return (features[seen["candidates"]][..., :10] * seen["profile"][:, None]).sum(-1)  # topics, stated interests

    arms: dict[str, Policy[Any]] = {
        "today's": ScoredPolicy(spec, interest, temperature=0.5),
        "calmer": ScoredPolicy(spec, interest, temperature=0.6),
        "bolder": ScoredPolicy(spec, interest, temperature=0.4),
    }
    rules: dict[str, abtest.Rule] = {
        "fixed split": abtest.EpsilonGreedy(1.0),  # every arm alike, whatever is seen
        "epsilon-greedy 0.2": abtest.EpsilonGreedy(0.2),
        "Thompson": abtest.Thompson(),
    }
    pools = abtest.simulate_arms(arms, task, pool, metrics=abtest.pick_metrics(task, ("return",)))
    truth = pools.truth("return")
    print("true return of a user:", *(f"{name} {value:.2f}" for name, value in zip(arms, truth, strict=True)), sep="  ")

    best = int(truth.argmax())
    print(f"\n{replications} experiments of {users:,} users; how often the 95 % interval of each arm holds its truth")
    print(f"{'allocation':18} {'lost return':>11} {'on the best':>11}   {'plain means':^24}   adaptive weights")
    for name, rule in rules.items():
        data = abtest.allocate_adaptively(pools, "return", rule, users, replications, batches=50)
        lost = abtest.regret_curve(data, truth)[:, -1].mean()
        share = data.users.sum(1)[:, best].mean() / users
        covered = []
        for estimates in (abtest.plain_estimates(data), abtest.adaptive_estimates(data)):
            low, high = estimates.interval()
            covered.append("  ".join(f"{held:6.1%}" for held in np.mean((low <= truth) & (truth <= high), axis=0)))
        print(f"{name:18} {lost:11,.0f} {share:11.0%}   {covered[0]:>24}   {covered[1]:>24}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # small tensors are slower on more
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("--replications", type=int, default=1000)
    parser.add_argument("--pool", type=int, default=2000)
    arguments = parser.parse_args()
    main(arguments.users, arguments.replications, arguments.pool)
