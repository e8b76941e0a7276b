"""One run: learn from the log, serve simulated users where there are some, be valued on users held out; kept."""

import time
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recgym.agents import Policy
from recgym.agents.offline import BCConfig, OfflineAgent
from recgym.data.transitions import TransitionStore
from recgym.encoders.settings import settings_to_json
from recgym.ope import with_behaviour
from recgym.seeding import child_seed
from reproductions.offline.arms import Budget, Run, config_of
from reproductions.offline.valuing import remembers, values
from reproductions.offline.worlds import SIGNALS, ebnerd, fold, logged, served, short_video, uniform
from reproductions.running import kept

__all__ = ["measured", "run_one"]


@cache
def _parts(world: str, seed: int, budget: Budget, data: Path) -> tuple[TransitionStore, TransitionStore]:
    store = logged(seed, budget.steps, budget.sessions) if world == "short-video" else ebnerd(data)
    return fold(store, seed)


@cache
def _stand_in(world: str, seed: int, budget: Budget, data: Path) -> Policy[Any]:
    """A policy cloned on the training users, with weights of its own, that stands for what users do."""
    train = _parts(world, seed, budget, data)[0]
    return OfflineAgent.of(BCConfig(), train, child_seed(seed, "stand-in")).fit(train, budget.updates).policy()


def measured(run: Run, budget: Budget, data: Path) -> dict[str, Any]:
    """The row of a run; one with ``reason`` alone where the arm cannot learn this log.

    Args:
        run: which.
        budget: sizes.
        data: folder of EB-NeRD.
    """
    torch.set_num_threads(1)
    begun, cpu = time.perf_counter(), time.process_time()
    train, test = _parts(run.world, run.seed, budget, data)
    greedy = run.arm == "bc_greedy"
    row: dict[str, Any] = {"world": run.world, "arm": run.arm, "seed": run.seed}
    policy: Policy[Any]
    if run.arm == "random":
        policy = uniform(train.problem)
    else:
        config = config_of(run.arm, SIGNALS[run.world], budget)
        try:
            agent = OfflineAgent.of(config, train, run.seed).fit(train, budget.updates)
        except ValueError as error:
            return row | {"reason": str(error)}
        policy = agent.policy()
        row |= {"settings": settings_to_json(config), "updates": agent.updates, "last_losses": agent.losses[-1]}
    row |= {"training_seconds": round(time.perf_counter() - begun, 1), "memory": remembers(policy)}
    row |= {"train_steps": len(train), "held_out_steps": len(test), "held_out_episodes": len(test.episodes)}
    if run.world == "short-video":
        row |= {"test": served(policy, short_video(budget.sessions), budget, run.seed, greedy)}
        row |= {"estimates": values(test, policy, budget, run.seed, greedy=greedy)}
    else:
        test = with_behaviour(test, _stand_in(run.world, run.seed, budget, data))
        read = test.responses(test.steps)[:, test.problem.schema.index("read_time")].astype(np.float64)
        row |= {"logged": float(test.columns["reward"][test.steps].sum() / len(test.episodes))}
        judged = partial(values, test, policy, budget, run.seed, greedy=greedy)
        row |= {"estimates": judged(), "read_time": judged(modelled=False, reward=read)}
    return row | {"seconds": round(time.perf_counter() - begun, 1), "cpu_seconds": round(time.process_time() - cpu, 1)}


def run_one(run: Run, folder: Path, budget: Budget, data: Path) -> dict[str, Any]:
    """The row of a run, from the folder if it was run before."""
    row: dict[str, Any] = kept(folder / f"{run.key}.json", lambda: measured(run, budget, data))
    return row
