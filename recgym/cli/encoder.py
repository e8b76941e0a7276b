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

from recgym.cli.common import breaking_off, console, flag_value, print_json, table
from recgym.cli.reading import read_told
from recgym.cli.sharing import shared
from recgym.encoders.fit import Epoch
from recgym.encoders.fitted import ENCODER, FIT_CURVE, FittedEncoder
from recgym.encoders.models import MODELS, AnyModelConfig, load_encoder
from recgym.encoders.settings import settings_to_json
from recgym.evaluation.encoders import EncoderSplit, encoder_split, fit_encoder, with_items_of
from recgym.evaluation.ranking import RankingProtocol, RankingQueries, RankingReport, SeenItems, evaluate_ranking
from recgym.evaluation.recommending import recommend, recommend_saved
from recgym.files import check_replaceable, check_writable, write_json
from recgym.progress import Bars, Progress, Tick
from recgym.scale.cluster import LOCAL, connected
from recgym.scale.training import fit_encoder_together

__all__ = ["Evaluate", "Fit", "Recommend"]

Config = TypeVar("Config", bound=AnyModelConfig)


@dataclass(frozen=True)
class Fit(Generic[Config]):
    """Fit an encoder to a log and judge it on what it was not fitted to; --model NAME --help lists its settings.

    Attributes:
        data: The file or folder of the log, as the data set's own download lays it out.
        format: How it is laid out, such as movielens, kuairand, sequences, table or recgym.
        out: The folder to write the encoder to, with config.json, epochs.json and result.json about the fit.
        settings: Of the model.
        model: sasrec, gru4rec, bert4rec, hstu, sigma, comirec, cape, rearec, mqsa-ted, icsrec or mean-pool.
        columns: For the format table, which column is what, such as user=user_id,item=video_id,time=time_ms:ms. Where
            rows are items that were shown, taken or not, give the feedback and slate=*: click=is_click,slate=*.
        by_time: Test on what lies after one moment, common to all users; otherwise leave-one-out.
        keep_seen: Let items that a user has consumed be recommended again.
        seed: Root seed.
        threads: Threads of torch; of each process, 1 with --ray.
        workers: With --ray, processes that share each batch; all processors of the cluster if not given.
        ray: auto for a Ray of this machine, or HOST:PORT of a cluster whose machines all see the folder; needs the
            extra recgym[ray].
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
    workers: int | None = None
    ray: str | None = None
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
        if self.workers is not None and self.ray is None:
            raise ValueError("--workers shares the work of --ray: name auto or the address of a cluster")
        torch.set_num_threads(self.threads)
        check_replaceable(self.out, ENCODER, FIT_CURVE)
        check_writable(self.out.parent)
        say = console(self.quiet)
        with Bars(say) as bars:
            bars(Tick(f"reading {self.data}"))
            log = read_told(self.data, self.format, self.columns, say)
            split = encoder_split(log, self.by_time)
            seen = SeenItems.KEPT if self.keep_seen else SeenItems.MASKED
            say.print(
                f"Fitting {self.model} to {split.train.n_rows:,} rows of {log.n_users:,} users and "
                f"{log.n_items:,} items", markup=False,
            )  # fmt: skip
            bars(Tick("fitting"))
            told = {
                "encoder": self.model, "data": str(self.data), "settings": settings_to_json(self.settings),
                "seed": self.seed,
            }  # fmt: skip
            encoder, curve = self._fit(split, seen, told, say, bars)
            bars(Tick("ranking"))
            report = evaluate_ranking(encoder.model, split.test, split.test.protocol(seen=seen), name=self.model)
            result = told | {"ranking": report.to_json(), "learning_curve": curve}
            encoder.save(self.out, {"config.json": told, FIT_CURVE: curve, "result.json": result})
            say.print(f"wrote {self.out}", markup=False)
        _show(report, self.json)
        return 0

    def _fit(
        self, split: EncoderSplit, seen: SeenItems, told: dict[str, Any], say: Console, bars: Bars
    ) -> tuple[FittedEncoder, list[dict[str, Any]]]:
        """The encoder and its curve; what is known while the fit goes on lies in the folder."""
        protocol = partial(_protocol, seen)
        if self.ray is not None:
            with connected(self.ray, self.workers if self.ray == LOCAL else None):
                encoder, epochs = fit_encoder_together(
                    self.model, self.settings, split, self.seed, self.out, processes=self.workers, protocol=protocol
                )
            return encoder, [_point(count, epoch) for count, epoch in enumerate(epochs, start=1)]
        curve: list[dict[str, Any]] = []
        write_json(self.out / FIT_CURVE, curve)  # first: by it the next fit knows that it may take this one's place
        write_json(self.out / "config.json", told)

        def passed(epoch: Epoch) -> None:
            curve.append(_point(len(curve) + 1, epoch))
            write_json(self.out / FIT_CURVE, curve)
            _passed(say, bars, epoch)

        with breaking_off(self.out, say, lambda: "nothing is kept: an encoder is written when its fit ends"):
            encoder, _ = fit_encoder(self.model, self.settings, split, self.seed, protocol=protocol, progress=passed)
        return encoder, curve


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
        say = console(self.quiet)
        with Bars(say) as bars:
            bars(Tick(f"reading {self.data}"))
            log = with_items_of(read_told(self.data, self.format, self.columns, say), encoder)
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
        log = with_items_of(read_told(self.data, self.format, self.columns, console()), encoder)
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


def _protocol(seen: SeenItems, queries: RankingQueries) -> RankingProtocol:
    return queries.protocol(seen=seen)


def _point(count: int, epoch: Epoch) -> dict[str, Any]:
    """An epoch as a point of a learning curve."""
    return {"epochs": count, "loss": epoch.loss, "ndcg@10": epoch.validation}


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
