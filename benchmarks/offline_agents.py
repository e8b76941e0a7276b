"""Speed of agents that learn from logs: ``python -m benchmarks.offline_agents --json``.

Updates per second of the Decision Transformer (T = 20 steps, 2 layers, 8 heads, d = 128, batches of 128 windows,
dropout 0.1) on a log of long-term satisfaction (one vector an observation, 30 actions), against d3rlpy's
``DiscreteDecisionTransformer`` of the same sizes, where d3rlpy is installed, and against :mod:`benchmarks.plain_dt`.
Whole updates are timed: drawing windows, forward, backward, optimiser. Ratios come from runs in turn (ours, peer, ours,
peer, ...).
"""

import importlib
import importlib.util
import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.measure import Ratio, finish, machine, options, paired
from benchmarks.plain_dt import PlainDT, PlainWindows
from recgym.agents import RandomPolicy
from recgym.agents.decision_transformer import CoreConfig, DTConfig
from recgym.agents.offline import OfflineAgent
from recgym.data.transitions import TransitionStore
from recgym.envs import make_task
from recgym.evaluation import action_spec, record
from recgym.seeding import make_generator, seeded

__all__ = ["main"]

BATCH = 128
CORE = CoreConfig()


def a_log() -> TransitionStore:
    """About 140,000 steps of random actions."""
    task = make_task("recgym/LongTermSatisfaction-v0", {})
    return record(RandomPolicy(action_spec(task)), task, 1, seed=0)


def ours(store: TransitionStore, core: CoreConfig) -> Callable[[], None]:
    """One update of our own."""
    learner = OfflineAgent.of(DTConfig(core), store).learner
    generator = make_generator(0, "batches")
    learner.begin(store, generator)
    learner.module.train()

    def update() -> None:
        learner.update(store, generator, 1000)

    return update


def plain(store: TransitionStore, core: CoreConfig) -> Callable[[], None]:
    """One update of the plain loop."""
    windows = PlainWindows(store, core.window, 0)
    with seeded(0, "benchmark"):
        model = PlainDT(
            store.problem.flat, store.problem.num_candidates, core.window, core.width, core.layers, core.heads,
            core.dropout,
        ).train()  # fmt: skip
    optimiser = torch.optim.AdamW(model.parameters(), 6e-4)

    def update() -> None:
        optimiser.zero_grad()
        model.loss(*windows.draw(BATCH)).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()

    return update


def d3rlpy_peer(store: TransitionStore, core: CoreConfig) -> Callable[[], None]:
    """One update of d3rlpy, as its ``fit`` does it, without its logger."""
    logging.disable(logging.INFO)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        d3rlpy: Any = importlib.import_module("d3rlpy")
    structlog: Any = importlib.import_module("structlog")
    # What d3rlpy prints would stand in our JSON.
    with warnings.catch_warnings(), structlog.testing.capture_logs():
        warnings.simplefilter("ignore")
        dataset = _dataset(d3rlpy, store)
        config = d3rlpy.algos.DiscreteDecisionTransformerConfig(
            batch_size=BATCH, context_size=core.window, num_heads=core.heads, num_layers=core.layers,
            attn_dropout=core.dropout, resid_dropout=core.dropout, embed_dropout=core.dropout,
            max_timestep=int(store.lengths.max()), activation_type="relu",
            encoder_factory=d3rlpy.models.VectorEncoderFactory([core.width], exclude_last_activation=True),
        )  # fmt: skip
        algorithm = config.create(device="cpu:0")
        algorithm.create_impl((store.problem.flat,), store.problem.num_candidates)

    def update() -> None:
        algorithm.update(dataset.sample_trajectory_batch(BATCH, length=core.window))

    return update


def _dataset(d3rlpy: Any, store: TransitionStore) -> Any:
    steps = store.steps
    ends = np.zeros(len(steps), np.float32)
    ends[np.cumsum(store.lengths) - 1] = 1.0
    columns = (np.asarray(store.columns[name][steps]) for name in ("flat", "action", "reward"))
    observations, actions, rewards = columns
    return d3rlpy.dataset.MDPDataset(
        observations, actions.astype(np.int64), rewards[:, None], np.zeros_like(ends), ends,
        action_space=d3rlpy.ActionSpace.DISCRETE, action_size=store.problem.num_candidates,
    )  # fmt: skip


def _rate(update: Callable[[], None], updates: int) -> float:
    begun = time.perf_counter()
    for _ in range(updates):
        update()
    return updates / (time.perf_counter() - begun)


def measure(updates: int, repeats: int, core: CoreConfig = CORE) -> list[Ratio]:
    """Our updates per second over those of each peer."""
    store = a_log()
    mine = ours(store, core)
    peers = {"plain PyTorch": plain(store, core)}
    if importlib.util.find_spec("d3rlpy") is not None:
        peers["d3rlpy DiscreteDecisionTransformer"] = d3rlpy_peer(store, core)
    for update in (mine, *peers.values()):
        update()  # what is made at the first call is not timed
    timed = partial(_rate, mine, updates)
    return [
        paired("Decision Transformer", name, BATCH, timed, partial(_rate, update, updates), repeats)
        for name, update in peers.items()
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the result; returns 0."""
    parser = options("offline_agents", __doc__)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--updates", type=int, default=10, help="of each timed run")
    parser.add_argument("--repeats", type=int, default=5, help="pairs of runs")
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    if args.quick:
        ratios = measure(1, 1, CoreConfig(window=5, width=16, heads=2))
    else:
        ratios = measure(args.updates, args.repeats)
    body = machine(("recgym", "torch", "numpy", "d3rlpy")) | {"rows": [], "ratios": [asdict(r) for r in ratios]}
    return finish("offline_agents", body, args, "\n".join(map(str, ratios)))


if __name__ == "__main__":
    raise SystemExit(main())
