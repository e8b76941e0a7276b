"""Would an A/B test find that one policy is better, how soon, and may one peek? Try it on simulated users first."""

import argparse
from typing import Any

import torch

from recgym import abtest
from recgym.agents import Policy, RandomPolicy, ScoredPolicy
from recgym.envs import make_task
from recgym.evaluation import action_spec

METHODS = (abtest.Method.FIXED, abtest.Method.PEEKING, abtest.Method.MSPRT)


def main(users: int, replications: int, pool: int) -> None:
    task = make_task("recgym/ShortVideo-v0", {"num_candidates": 10})
    spec = action_spec(task)
    features = torch.as_tensor(task.model.item_features)
    padded = torch.cat([features, torch.zeros_like(features[:1])])

    def more_of_the_same(seen: dict[str, Any]) -> torch.Tensor:
        watched = padded[seen["history_items"]] * seen["history_feedback"][..., 1:2]  # long views
        scores: torch.Tensor = (features[seen["candidates"]] @ watched.sum(1)[:, :, None])[..., 0]
        return scores

    taste: Policy[Any] = ScoredPolicy(spec, more_of_the_same, temperature=2.0)
    arms: dict[str, abtest.Arm] = {"random": RandomPolicy(spec), "taste": taste}
    looks = tuple(range(50, users + 1, 50))
    metrics = abtest.pick_metrics(task, ("return", "like"))
    experiment = abtest.Experiment(arms, looks, metrics=metrics, methods=METHODS)
    pools, result = experiment.run(task, replications, pool=pool, common=True)
    for metric in pools.metrics:
        effect = pools.effect(metric, "taste")
        print(f"\n{metric}: taste minus random is {effect.mean:.3f} [{effect.low:.3f}, {effect.high:.3f}]")
        plan = abtest.required_users(abs(effect.mean), float(pools.column(metric)[0].std()))
        print(f"  a single look needs {plan.users:,} users for a power of 80 %")
        for method in METHODS:
            found = result.of("taste", metric, method).summary(result.users)
            print(f"  {method:8} finds a difference in {found['rejected']:4.0%} of experiments, "
                  f"stops after {found['users']:,} users, is then off by {found['bias']:+.3f}")  # fmt: skip


if __name__ == "__main__":
    torch.set_num_threads(1)  # small tensors are slower on more
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--replications", type=int, default=500)
    parser.add_argument("--pool", type=int, default=2000)
    arguments = parser.parse_args()
    main(arguments.users, arguments.replications, arguments.pool)
