"""``recgym encoder``: fit a sequence encoder to a log, judge it, and let it recommend."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
import tyro
from rich.console import Console

from recgym.cli.common import console, flag_value, print_json, table
from recgym.cli.sharing import shared
from recgym.data import read_log
from recgym.encoders.fit import Epoch
from recgym.encoders.models import MODELS, AnyModelConfig, load_encoder
from recgym.evaluation.encoders import EncoderSplit, encoder_split, fit_encoder, with_items_of
from recgym.evaluation.ranking import RankingReport, SeenItems, evaluate_ranking
from recgym.evaluation.recommending import recommend, recommend_saved
from recgym.files import check_replaceable, check_writable
from recgym.progress import Bars, Progress, Tick

__all__ = ["Evaluate", "Fit", "Recommend"]

Config = TypeVar("Config", bound=AnyModelConfig)


@dataclass(frozen=True)
class Fit(Generic[Config]):
    """Fit an encoder to a log and judge it on what it was not fitted to; --model NAME --help lists its settings.

    Attributes:
        data: The file or folder of the log, as the data set's own download lays it out.
        format: How it is laid out, such as movielens, kuairand, sequences, table or recgym.
        out: The folder to write the encoder to.
        settings: Of the model.
        model: Which model.
        columns: For the format table, which column is what: user=user_id,item=video_id,time=time_ms:ms.
        by_time: Test on what lies after one moment, common to all users; otherwise leave-one-out.
        keep_seen: Let items that a user has consumed be recommended again.
        seed: Root seed.
        threads: Threads of torch.
        json: Print one JSON object in place of a table.
        quiet: No remarks and no progress.
    """

    data: Path
    format: str
    out: Path
    settings: Config
    model: str = "sasrec"
    columns: str | None = None
    by_time: bool = False
    keep_seen: bool = False
    seed: int = 0
    threads: int = 1
    json: bool = False
    quiet: bool = False

    @classmethod
    def parse(cls, flags: Sequence[str], prog: str) -> "Fit[Any]":
        """Read the flags; which there are depends on the model that they name.

        Raises:
            ValueError: there is no such model.
        """
        name = flag_value(flags, "--model", Fit.model)
        if name not in MODELS:
            raise ValueError(f"there is no model {name!r}; there are: {', '.join(MODELS)}")
        config = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes)
        verb: Any = Fit[MODELS[name]]  # type: ignore[valid-type] # the class with that model's settings
        return tyro.cli(verb, args=flags, prog=prog, config=config)

    def run(self) -> int:
        """Train, write the encoder and print how it ranks; returns the exit status 0."""
        if self.threads < 1:
            raise ValueError(f"--threads must be at least 1, found {self.threads}")
        torch.set_num_threads(self.threads)
        check_replaceable(self.out, "encoder.json")
        check_writable(self.out.parent)
        say = console(self.quiet)
        with Bars(say) as bars:
            bars(Tick(f"reading {self.data}"))
            log = read_log(self.data, self.format, columns=self.columns)
            split = encoder_split(log, self.by_time)
            seen = SeenItems.KEPT if self.keep_seen else SeenItems.MASKED
            say.print(
                f"Fitting {self.model} to {split.train.n_rows:,} rows of {log.n_users:,} users and "
                f"{log.n_items:,} items", markup=False,
            )  # fmt: skip
            bars(Tick("fitting"))
            encoder, _ = fit_encoder(
                self.model, self.settings, split, self.seed, protocol=lambda queries: queries.protocol(seen=seen),
                progress=partial(_passed, say, bars),
            )  # fmt: skip
            encoder.save(self.out)
            say.print(f"wrote {self.out}", markup=False)
            bars(Tick("ranking"))
            report = evaluate_ranking(encoder.model, split.test, split.test.protocol(seen=seen), name=self.model)
        _show(report, self.json)
        return 0


@dataclass(frozen=True)
class Evaluate:
    """Judge a fitted encoder on the test part of a log: full ranking, intervals over users.

    Attributes:
        encoder: The folder of the encoder.
        data: The file or folder of the log.
        format: How it is laid out.
        columns: For the format table, which column is what.
        by_time: Test on what lies after one moment, common to all users; otherwise on each user's last consumption.
            Cut the log as it was cut for fitting, or give behaviour that came later.
        keep_seen: Let items that a user has consumed be recommended again.
        json: Print one JSON object in place of a table.
        quiet: No progress.
    """

    encoder: Path
    data: Path
    format: str
    columns: str | None = None
    by_time: bool = False
    keep_seen: bool = False
    json: bool = False
    quiet: bool = False

    def run(self) -> int:
        """Rank and print; returns the exit status 0."""
        encoder = load_encoder(self.encoder)
        with Bars(console(self.quiet)) as bars:
            bars(Tick(f"reading {self.data}"))
            log = with_items_of(read_log(self.data, self.format, columns=self.columns), encoder)
            split: EncoderSplit = encoder_split(log, self.by_time)
            seen = SeenItems.KEPT if self.keep_seen else SeenItems.MASKED
            bars(Tick("ranking"))
            report = evaluate_ranking(encoder.model, split.test, split.test.protocol(seen=seen), name=encoder.name)
        _show(report, self.json)
        return 0


@dataclass(frozen=True)
class Recommend:
    """What a fitted encoder would recommend to users at the end of a log; less than asked for where nothing is left.

    Attributes:
        encoder: The folder of the encoder.
        data: The file or folder of the log.
        format: How it is laid out.
        columns: For the format table, which column is what.
        users: Original ids of the users; all if none are named.
        k: Items a user, at most.
        keep_seen: Let items that a user has consumed be recommended again.
        out: A Parquet file for the lists of all users, in place of printing them; the log, in the format recgym, may
            then be larger than memory.
        workers: With --out, processes that share the users, 1 if not given; of --ray auto, all processors if not given.
        ray: With --out, auto for a Ray of this machine, or HOST:PORT of a cluster, to share the users with.
        json: Print one JSON object in place of a table.
    """

    encoder: Path
    data: Path
    format: str
    columns: str | None = None
    users: tuple[str, ...] = ()
    k: int = 10
    keep_seen: bool = False
    out: Path | None = None
    workers: int | None = None
    ray: str | None = None
    json: bool = False

    def run(self) -> int:
        """Recommend and print; returns the exit status 0."""
        encoder = load_encoder(self.encoder)
        if self.out is not None:
            if self.format != "recgym" or self.users:
                raise ValueError("--out is for all users of a log of the format recgym; recgym data convert makes one")
            with shared(self.ray, self.workers) as workers:
                recommend_saved(encoder, self.data, self.out, self.k, repeats=self.keep_seen, workers=workers)
            print(f"wrote {self.out}", file=sys.stderr)
            return 0
        log = with_items_of(read_log(self.data, self.format, columns=self.columns), encoder)
        if not 1 <= self.k <= log.n_items:
            raise ValueError(f"--k must be in 1..{log.n_items}, the number of items, found {self.k}")
        names = log.user_ids.cast(str).to_list()
        rows = np.arange(log.n_users) if not self.users else np.array([_row(names, name) for name in self.users])
        items = log.item_ids.cast(str).to_numpy()
        best = recommend(encoder, log, rows, self.k, repeats=self.keep_seen)
        served = {names[user]: items[row[row < log.n_items]].tolist() for user, row in zip(rows, best, strict=True)}
        if self.json:
            print_json({"recommendations": served})
        else:
            table(["user", "items, the best first"], [[user, ", ".join(best)] for user, best in served.items()])
        return 0


def _passed(say: Console, progress: Progress, epoch: Epoch) -> None:
    found = "" if epoch.validation is None else f", validation NDCG@10 {epoch.validation:.4f}"
    say.print(f"epoch {epoch.number}: loss {epoch.loss:.4f}{found}, {epoch.seconds:.1f} s")
    progress(Tick("fitting", epoch.number, None, "epochs"))


def _row(names: list[str], name: str) -> int:
    if name not in names:
        raise ValueError(f"the log has no user {name!r}; its first users are {', '.join(names[:5])}")
    return names.index(name)


def _show(report: RankingReport, json: bool) -> None:
    if json:
        print_json(report.to_json())
    else:
        Console(file=sys.stdout).print(report.table())
