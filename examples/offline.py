"""Record a log on simulated users, learn from it without them, and see what was learned; then the same from a real log.

``--log DIR`` reads a log that ``recgym data convert`` wrote in place of the one that was recorded.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch

from recgym.agents import MixturePolicy, Policy, RandomPolicy, ScoredPolicy
from recgym.agents.offline import BCConfig, OfflineAgent, OfflineConfig, ReinforceConfig
from recgym.data import read_log
from recgym.data.transitions import SlateReading, log_from_transitions, transitions_from_log
from recgym.envs import make_task
from recgym.evaluation import OneStepOracle, action_spec, record, rollout

ENV = ("recgym/ShortVideo-v0", {"num_candidates": 10, "window": 10})

AGENTS: dict[str, OfflineConfig] = {
    "BC": BCConfig(),  # does as the log does
    "BC of the best 10 %": BCConfig(best=0.1),  # as its best sessions do
    "REINFORCE": ReinforceConfig(),  # weighs what the log did by what came of it
}


def main(steps: int, updates: int, users: int, log: Path | None) -> None:
    task = make_task(*ENV)
    spec = action_spec(task)
    quality = torch.as_tensor(task.model.item_features)[:, 0]
    scored: Policy[Any] = ScoredPolicy(spec, lambda seen: quality[seen["candidates"]], temperature=0.5)
    behaviour = MixturePolicy((RandomPolicy(spec), scored), (0.5, 0.5))
    with tempfile.TemporaryDirectory() as folder:
        store = record(behaviour, task, steps, Path(folder) / "log", seed=0)
        print(f"recorded {len(store):,} steps of {len(store.episodes):,} users")
        learned = {name: OfflineAgent.of(config, store).fit(store, updates) for name, config in AGENTS.items()}
    policies: dict[str, Any] = {"random": RandomPolicy(spec), "behaviour": behaviour}
    policies |= {name: agent.policy() for name, agent in learned.items()} | {"oracle": OneStepOracle}
    print("return of a session, 95 % interval over 3 seeds of users")
    for name, policy in policies.items():
        result = rollout(policy, task, users=users, seeds=(1, 2, 3), greedy=True).summary()
        print(f"{name:20} {result['return']:5.2f}   [{result['low']:.2f}, {result['high']:.2f}]")

    real = log_from_transitions(store) if log is None else read_log(log, "recgym")
    read = transitions_from_log(real, SlateReading(), {real.schema.names[0]: 1.0})
    print(f"\n{real.source}: {len(read.store):,} slates read as steps; left out, and remarks:")
    print(*(f"  {entry.rows:,} rows {entry.reason}" for entry in read.left_out), *read.notes or ("  none",), sep="\n")


if __name__ == "__main__":
    torch.set_num_threads(1)  # small tensors are slower on more
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40_000)
    parser.add_argument("--updates", type=int, default=2000)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--log", type=Path)
    arguments = parser.parse_args()
    main(arguments.steps, arguments.updates, arguments.users, arguments.log)
