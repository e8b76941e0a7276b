"""Run by the interpreter of an environment that has RecBole: times its SASRec, prints one JSON object.

RecBole trains on every prefix of a history as a row of its own with one target, so its rows are what our events are:
things to be foretold. It is given the same data (each user's events but the last two), width, blocks, window and
dropout, its own cross-entropy loss and its own batch size. The environment: ``pip install torch==2.13.0 recbole==1.2.1
"pandas<3" "numpy<2"``, as RecBole does not run on later ones.
"""

import argparse
import gzip
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.sequential_recommender import SASRec

BATCH = 2048


def main() -> None:
    """Time whole updates for a while."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--blocks", type=int, required=True)
    parser.add_argument("--window", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "log"
        data.mkdir()
        _write_atomic_file(args.file, data / "log.inter")
        settings = {
            "data_path": folder, "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "USER_ID_FIELD": "user_id", "ITEM_ID_FIELD": "item_id", "TIME_FIELD": "timestamp",
            "MAX_ITEM_LIST_LENGTH": args.window, "train_neg_sample_args": None, "loss_type": "CE",
            "hidden_size": 64, "inner_size": 64, "n_layers": args.blocks, "n_heads": 1,
            "hidden_dropout_prob": 0.2, "attn_dropout_prob": 0.2, "train_batch_size": BATCH,
            "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
            "use_gpu": False, "gpu_id": "", "state": "ERROR", "show_progress": False, "worker": 0,
        }  # fmt: skip
        config = Config(model="SASRec", dataset="log", config_dict=settings)
        dataset = create_dataset(config)
        train, _, _ = data_preparation(config, dataset)
        model = SASRec(config, train.dataset).train()
        optimiser = torch.optim.Adam(model.parameters(), 1e-3)
        print(json.dumps({"events_per_s": _rate(model, train, optimiser, args.seconds), "rows": len(train.dataset)}))


def _rate(model: SASRec, train: Any, optimiser: torch.optim.Optimizer, seconds: float) -> float:
    rows, begun = 0, 0.0
    while True:
        for index, batch in enumerate(train):
            if index == 1 and not begun:  # The first update warms up.
                begun, rows = time.perf_counter(), 0
            optimiser.zero_grad()
            model.calculate_loss(batch).backward()
            optimiser.step()
            rows += len(batch)
            if begun and time.perf_counter() - begun > seconds:
                return rows / (time.perf_counter() - begun)


def _write_atomic_file(source: Path, target: Path) -> None:
    """RecBole's own format; "user item" a line, or "user item item ..."."""
    opened = gzip.open(source, "rt") if source.suffix == ".gz" else source.open()
    with opened as lines, target.open("w") as out:
        out.write("user_id:token\titem_id:token\ttimestamp:float\n")
        for number, line in enumerate(lines):
            user, *items = line.split()
            for place, item in enumerate(items):
                out.write(f"{user}\t{item}\t{number * 1000 + place}\n")


if __name__ == "__main__":
    main()
