"""Speed of agents that learn from logs: ``python -m benchmarks.offline_agents --json``.

Updates per second of the Decision Transformer (T = 20 steps, 2 layers, 8 heads, d = 128, batches of 128 windows,
dropout 0.1) on a log of long-term satisfaction (one vector an observation, 30 actions), against d3rlpy's
``DiscreteDecisionTransformer`` of the same sizes, where d3rlpy is installed, and against :mod:`benchmarks.plain_dt`.
And updates per second of each stage of TSCAC (batches of 256 steps, two auxiliary responses) on a log of short videos
(histories of 10, 20 videos on offer), against :mod:`benchmarks.plain_tscac`; d3rlpy has no such algorithm.

Whole updates are timed: drawing, forward, backward, optimiser. Ratios come from runs in turn (ours, peer, ours, peer,
...).
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
from benchmarks.plain_tscac import PlainSteps, PlainTSCAC
from recgym.agents import RandomPolicy
from recgym.agents.constrained import BasisConfig, Responses, TSCACConfig
from recgym.agents.decision_transformer import CoreConfig, DTConfig
from recgym.agents.offline import OfflineAgent
from recgym.data.transitions import TransitionStore
from recgym.envs import make_task
from recgym.evaluation import action_spec, record
from recgym.seeding import make_generator, seeded

__all__ = ["main"]

BATCH = 128
CORE = CoreConfig()
RESPONSES = Responses("watch_time", ("like", "comment"), costs=())


def a_log(env: str) -> TransitionStore:
    """Random actions of a thousand users."""
    task = make_task(env, {})
    return record(RandomPolicy(action_spec(task)), task, 1, seed=0)  # whole blocks of users are recorded


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


def tscac(store: TransitionStore, stage: int, batch: int) -> Callable[[], None]:
    """One update of a stage of our TSCAC."""
    basis = BasisConfig(RESPONSES, clone_updates=1, batch_size=batch)
    learner = OfflineAgent.of(TSCACConfig(stage1_updates=1, basis=basis), store).learner
    generator = make_generator(0, "batches")
    learner.begin(store, generator)
    learner.update(store, generator, 0)  # the beginning, from which the actors are copied

    def update() -> None:
        learner.update(store, generator, stage)

    return update


def plain_tscac(store: TransitionStore, stage: int, batch: int) -> Callable[[], None]:
    """The same of the plain loop."""
    config = TSCACConfig(basis=BasisConfig(RESPONSES))
    basis, network = config.basis, config.network
    chosen = RESPONSES.of(store.problem)
    steps = PlainSteps(store, chosen.columns, chosen.signs, 0)
    with seeded(0, "benchmark"):
        learner = PlainTSCAC(
            store, chosen.gammas, config.lambdas[0], network.embedding, network.hidden,
            (basis.actor_rate, basis.critic_rate), (basis.ratio_cap, config.weight_cap),
        )  # fmt: skip

    def update() -> None:
        learner.update(steps, batch, stage)

    return update


def _rate(update: Callable[[], None], updates: int) -> float:
    begun = time.perf_counter()
    for _ in range(updates):
        update()
    return updates / (time.perf_counter() - begun)


def measure(updates: int, repeats: int, core: CoreConfig = CORE, batch: int = 256) -> list[Ratio]:
    """Our updates per second over those of each peer."""
    store = a_log("recgym/LongTermSatisfaction-v0")
    mine = ours(store, core)
    pairs = [("Decision Transformer", "plain PyTorch", BATCH, mine, plain(store, core))]
    if importlib.util.find_spec("d3rlpy") is not None:
        peer = d3rlpy_peer(store, core)
        pairs.append(("Decision Transformer", "d3rlpy DiscreteDecisionTransformer", BATCH, mine, peer))
    videos = a_log("recgym/ShortVideo-v0")
    for stage in (1, 2):
        both = tscac(videos, stage, batch), plain_tscac(videos, stage, batch)
        pairs.append((f"TSCAC, stage {stage}", "plain PyTorch", batch, *both))
    ratios = []
    for name, peer_name, size, first, second in pairs:
        for update in (first, second):
            update()  # what is made at the first call is not timed
        timed = [partial(_rate, update, updates) for update in (first, second)]
        ratios.append(paired(name, peer_name, size, timed[0], timed[1], repeats))
    return ratios


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the result; returns 0."""
    parser = options("offline_agents", __doc__)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--updates", type=int, default=10, help="of each timed run")
    parser.add_argument("--repeats", type=int, default=5, help="pairs of runs")
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    if args.quick:
        ratios = measure(1, 1, CoreConfig(window=5, width=16, heads=2), 16)
    else:
        ratios = measure(args.updates, args.repeats)
    body = machine(("recgym", "torch", "numpy", "d3rlpy")) | {"rows": [], "ratios": [asdict(r) for r in ratios]}
    return finish("offline_agents", body, args, "\n".join(map(str, ratios)))


if __name__ == "__main__":
    raise SystemExit(main())
