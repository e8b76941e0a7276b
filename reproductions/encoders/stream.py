"""What HSTU's parts are worth on a stream of histories whose items are not all there from the beginning.

Every arm sees the same stream once and foretells the newest events of each history before it learns from it. All arms
have the same item vectors, scorer, loss and step size; they differ in their blocks alone. After the synthetic
experiment of arXiv 2402.17152, at a size that a processor can do, and with data of our own: the order of the arms is
what can be held against the published one, not the figures. Batch and step size were chosen on another stream.
"""

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from recgym.data import StreamConfig, new_item_stream
from recgym.encoders import Catalogue, FitConfig, HSTUConfig, NextItemModel, SASRecConfig, Sequences, fit_stream, seeded
from recgym.encoders.fit import Stage
from recgym.encoders.settings import settings_to_json
from reproductions.encoders.intervals import over_users
from reproductions.encoders.models import Run

__all__ = ["ARMS", "PUBLISHED", "RUNS", "STREAM", "foretold"]

STREAM = StreamConfig(items=10_000, categories=200, records=20_000, length=64)
SEED, SCORED_FROM, NEWEST = 1, 0.8, 16
_HSTU = HSTUConfig(
    width=64, window=STREAM.length - 1, timed=False, dropout=0.0, negatives=512,
    fit=FitConfig(batch_size=128, step_size=2e-3),
)  # fmt: skip


@dataclass(frozen=True)
class PlainBlocks:
    """SASRec's blocks, with all that is around them from HSTU.

    Attributes:
        around: item vectors, scorer, loss and optimiser.
        blocks: the blocks and their positions.
    """

    around: HSTUConfig
    blocks: SASRecConfig

    def build(self, catalogue: Catalogue) -> NextItemModel:
        """A fresh model; draws from PyTorch's generator."""
        model = self.around.build(catalogue)
        model.encoder.backbone = self.blocks.backbone()
        return model

    def stages(self, catalogue: Catalogue) -> tuple[Stage, ...]:
        """How it is trained."""
        return self.around.stages(catalogue)


ARMS: dict[str, HSTUConfig | PlainBlocks] = {
    "transformer": PlainBlocks(_HSTU, SASRecConfig(width=_HSTU.width, window=_HSTU.window, dropout=0.0)),
    "hstu-softmax-no-bias": replace(_HSTU, softmax=True, relative=False),
    "hstu-no-bias": replace(_HSTU, relative=False),
    "hstu": _HSTU,
}
"""What is compared -> its settings; each of the first three was published to be better than the one before."""

PUBLISHED = {"transformer": 0.0442, "hstu-softmax-no-bias": 0.0617, "hstu-no-bias": 0.0893}
"""HR@10 in the paper, on its own stream."""

RUNS = tuple(Run("stream", arm, seed) for seed in range(3) for arm in ARMS)
"""The seed is that of weights and negatives; the stream is the same in all runs, so that arms share their users."""


def foretold(run: Run) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """One pass of an arm over the stream: its row, and the HR@10 of each user that was scored."""
    begun = time.perf_counter()
    records, config = new_item_stream(STREAM, SEED), ARMS[run.model]
    catalogue = Catalogue.of(Sequences(records[:1].ravel(), np.array([0, STREAM.length]), STREAM.items))
    with seeded(run.seed, "encoder weights"):
        model = config.build(catalogue)
    (stage,) = config.stages(catalogue)
    found = fit_stream(model, records, stage, run.seed, k=10, scored_from=SCORED_FROM, newest=NEWEST)
    hits = found.hits.mean(1)
    row = {
        "model": run.model,
        "seed": run.seed,
        "hr@10": over_users(hits)._asdict(),
        "users_scored": len(hits),
        "events_scored": found.hits.size,
        "loss_at_the_end": float(np.mean(found.loss[-50:])),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": round(time.perf_counter() - begun, 1),
        "threads": torch.get_num_threads(),
        "stream": {**asdict(STREAM), "seed": SEED},
        "settings": settings_to_json(config),
    }
    return row, {"hr@10": hits}
