"""One pass over a stream: each record is foretold before it is learned from."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int64

from recgym.encoders.batch import Batch
from recgym.encoders.fit import Stage, StageRun
from recgym.encoders.model import NextItemModel
from recgym.encoders.sequences import Sequences, next_item
from recgym.seeding import seeded

__all__ = ["StreamHits", "fit_stream"]


class StreamHits(NamedTuple):
    """Whether items were foretold, of the records that were scored.

    Attributes:
        hits: whether the item was among the best k.
        record: number of each scored record in the stream.
        loss: mean training loss of each batch of the stream.
    """

    hits: Bool[np.ndarray, "S L"]
    record: Int64[np.ndarray, "S"]
    loss: list[float]


def fit_stream(
    model: NextItemModel,
    records: Int64[np.ndarray, "R T"],
    stage: Stage,
    seed: int,
    k: int = 10,
    scored_from: float = 0.9,
    newest: int = 8,
) -> StreamHits:
    """Train a model on histories in their order, each seen once, and score it on what it has not yet seen.

    Args:
        model: freshly made, or to be trained on; left with the weights at the end of the stream.
        records: item ids, one history a row, of at most ``window + 1`` events.
        stage: objective and optimiser; its number of epochs does not count.
        seed: of negatives and dropout.
        k: an item is a hit if fewer than k others score at least as high.
        scored_from: share of the stream after which batches are scored, each before it is learned from.
        newest: the last so many events of a record are those to be foretold, from all before each.

    Raises:
        ValueError: records are longer than the window or too short to be scored.
    """
    count, length = records.shape
    if length > model.window + 1 or newest >= length:
        raise ValueError(
            f"records of {length} events do not suit a window of {model.window} and {newest} events to be foretold"
        )
    sequences = Sequences(records.ravel(), np.arange(count + 1) * length, model.num_items)
    size = stage.config.batch_size
    hits, losses = [], []
    with seeded(seed, "encoder stream"):
        run = StageRun(model, sequences, stage, 1, seed)
        for first in range(0, count, size):
            rows = np.arange(first, min(first + size, count))
            batch = sequences.gather(rows * length, (rows + 1) * length, model.device)
            if first >= scored_from * count:
                hits.append(_foretold(model.eval(), batch, k, newest))
            users = torch.from_numpy(rows).to(model.device)
            example = next_item(batch, users, torch.zeros_like(users, dtype=torch.bool), model.num_items)
            model.train()
            losses.append(float(run.update(example)))
    model.eval()
    scored = np.arange(count)[-sum(len(part) for part in hits) :] if hits else np.zeros(0, np.int64)
    return StreamHits(np.concatenate(hits) if hits else np.zeros((0, newest), bool), scored, losses)


@torch.no_grad()
def _foretold(model: NextItemModel, batch: Batch, k: int, newest: int) -> Bool[np.ndarray, "B L"]:
    past = batch.map(lambda part: part[:, :-1])
    states = model.encoder(past)
    queries = model.head.queries(states, past)[:, -newest:]
    targets = batch.items[:, -newest:]
    scores = model.scores_of(queries.flatten(0, 1)).reshape(*targets.shape, -1)
    reached = scores.gather(2, targets[..., None])
    return ((scores >= reached).sum(2) <= k).cpu().numpy()
