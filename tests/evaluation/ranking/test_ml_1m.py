"""Popularity on the real MovieLens-1M, against a plain loop over users that shares no code with the evaluation."""

import gzip
from collections import Counter

import numpy as np
import pytest
import torch

from recgym.data import read_log
from recgym.evaluation import SeenItems, evaluate_ranking, leave_one_out_queries
from tests.evaluation.ranking.controls import Fixed
from tests.shared import shared_data

KS = (5, 10, 20)
LOOKED_AT = 200


def _by_loop(sequences: dict[str, list[str]], users: list[str], mask: bool) -> dict[str, list[float]]:
    """Rank of the last item by the counts of all but everyone's last two, and its metrics."""
    popularity = Counter(item for items in sequences.values() for item in items[:-2])
    catalogue = {item for items in sequences.values() for item in items}
    found: dict[str, list[float]] = {f"{name}@{k}": [] for name in ("hr", "ndcg") for k in KS}
    for user in users:
        *history, target = sequences[user]
        rivals = catalogue - {target} - (set(history) if mask else set())
        rank = 1 + sum(popularity[item] >= popularity[target] for item in rivals)
        for k in KS:
            found[f"hr@{k}"].append(float(rank <= k))
            found[f"ndcg@{k}"].append(1 / np.log2(rank + 1) if rank <= k else 0.0)
    return found


@pytest.mark.data
def test_popularity_on_ml_1m() -> None:
    path = shared_data("ml-1m")
    log = read_log(path, "sequences")
    sequences: dict[str, list[str]] = {}
    with gzip.open(path / "sequences.txt.gz", "rt") as lines:
        for line in lines:
            user, *items = line.split()
            sequences.setdefault(user, []).extend(items)
    queries = leave_one_out_queries(log)
    assert (len(queries.test), log.n_items) == (6040, 3706)
    scores = Fixed(torch.as_tensor(queries.test.popularity, dtype=torch.float32))
    chosen = np.linspace(0, len(queries.test) - 1, LOOKED_AT).astype(np.int64)
    names = [str(log.user_ids[int(user)]) for user in queries.test.users[chosen]]
    for seen in SeenItems:
        report = evaluate_ranking(scores, queries.test, queries.test.protocol(seen=seen), ks=KS)
        mine = report.per_query()
        for name, values in _by_loop(sequences, names, seen is SeenItems.MASKED).items():
            assert mine[name][chosen].tolist() == pytest.approx(values, abs=1e-12), name
    masked = evaluate_ranking(scores, queries.test).means()
    assert masked["hr@10"] == pytest.approx(238 / 6040)
    validation = evaluate_ranking(scores, queries.validation, ks=KS)
    assert validation.ranks.max() <= log.n_items
