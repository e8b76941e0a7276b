"""A fitted simulator: all that was learned from a log, and its folder."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from recgym.data.features import FeatureEncoder
from recgym.data.schema import FeedbackSchema
from recgym.files import atomic_folder, read_json, write_json
from recgym.simulators.learned.channels import ResponsePlan
from recgym.simulators.learned.config import LearnedConfig
from recgym.simulators.learned.context import ItemContext, ItemStream
from recgym.simulators.learned.network import ResponseNetwork
from recgym.simulators.learned.network_shape import NetworkShape
from recgym.simulators.learned.pace import Pace
from recgym.simulators.learned.rates import RateTables
from recgym.simulators.learned.sessions import SessionFacts
from recgym.simulators.learned.snapshots import Snapshots
from recgym.simulators.learned.steps import ExposureSource
from recgym.simulators.learned.training import Epoch

__all__ = ["FitReport", "FittedSimulator", "SourceFacts", "record_gate"]

_FORMAT = "recgym-simulator"
_VERSION = 3


@dataclass(frozen=True)
class SourceFacts:
    """What the simulator was fitted to.

    Attributes:
        source: file, folder or environment of the log.
        time_unit: ``"s"`` or ``"order"``.
        exposures: where exposures were known from.
        imputed: the channel whose zeros were imputed, or None.
        end_time: time of the last row; what lies after it is new to the simulator.
        sizes: smallest and largest slate; (0, 0) where exposures are imputed.
        last_position: largest position in a slate, -1 if none is known.
    """

    source: str
    time_unit: str
    exposures: ExposureSource
    imputed: str | None
    end_time: float
    sizes: tuple[int, int]
    last_position: int


@dataclass(frozen=True)
class FitReport:
    """How the fit went.

    Attributes:
        rows: rows that were explained.
        steps: exposures.
        epochs: the passes over the log.
        notes: what a user of the simulator should know, such as that exposures were imputed.
        seed: root seed.
    """

    rows: int
    steps: int
    epochs: tuple[Epoch, ...]
    notes: tuple[str, ...]
    seed: int


@dataclass(frozen=True)
class FittedSimulator:
    """Users learned from a log. :class:`recgym.simulators.learned.LearnedUsers` makes them behave.

    Attributes:
        config: the settings.
        plan: the feedback channels and how each is distributed.
        network: the network, in evaluation mode, on the CPU.
        users: encoder of user features.
        items: encoder of item features.
        user_ids: original ids of the log's users.
        user_last: time of each user's last row.
        item_ids: original ids of items ``0..N-1``.
        item_lengths: see :func:`recgym.simulators.learned.lengths.item_lengths`.
        context: what was known of the items at the end of the log; None for a log without times.
        size_rates: see :func:`recgym.simulators.learned.context.size_rates`.
        rates: baseline rates of the log.
        sessions: the clock of simulated users.
        snapshots: where simulated users come from.
        facts: what the simulator was fitted to.
        report: how the fit went.
        gate_failed: why the simulator failed its fidelity gate; empty if it passed or was not checked.
    """

    config: LearnedConfig
    plan: ResponsePlan
    network: ResponseNetwork
    users: FeatureEncoder
    items: FeatureEncoder
    user_ids: pl.Series
    user_last: np.ndarray
    item_ids: pl.Series
    item_lengths: np.ndarray
    context: ItemContext | None
    size_rates: np.ndarray
    rates: RateTables
    sessions: SessionFacts
    snapshots: Snapshots
    facts: SourceFacts
    report: FitReport
    gate_failed: tuple[str, ...] = ()

    @property
    def schema(self) -> FeedbackSchema:
        """The channels that simulated users answer with."""
        return self.plan.schema

    @property
    def n_items(self) -> int:
        """N."""
        return len(self.item_ids)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What somebody who relies on the simulator must be told."""
        return tuple(f"the simulator failed its fidelity gate: {reason}" for reason in self.gate_failed)

    def with_gate(self, failures: tuple[str, ...]) -> "FittedSimulator":
        """The same simulator with the outcome of its fidelity gate."""
        return replace(self, gate_failed=failures)

    def save(self, folder: Path | str) -> None:
        """Write a folder of safetensors, Parquet and JSON, all or nothing."""
        with atomic_folder(Path(folder), "simulator.json") as temporary:
            save_file(
                {k: v.contiguous() for k, v in self.network.state_dict().items()}, temporary / "weights.safetensors"
            )
            save_file(_tables(self), temporary / "tables.safetensors")
            pl.DataFrame({"id": self.user_ids, "last": self.user_last}).write_parquet(temporary / "users.parquet")
            pl.DataFrame({"id": self.item_ids}).write_parquet(temporary / "items.parquet")
            write_json(temporary / "simulator.json", _describe(self))

    @classmethod
    def load(cls, folder: Path | str) -> "FittedSimulator":
        """Read a folder written by :meth:`save`; nothing in it is executed.

        Raises:
            ValueError: the folder does not hold a fitted simulator, or a part of it is missing or damaged.
        """
        folder = Path(folder)
        if not (folder / "simulator.json").is_file():
            raise ValueError(
                f"{folder} is not a fitted simulator: it has no simulator.json; recgym simulator fit writes one"
            )
        meta = read_json(folder / "simulator.json")
        if not isinstance(meta, dict) or meta.get("format") != _FORMAT:
            raise ValueError(f"{folder / 'simulator.json'} does not describe a fitted simulator")
        if meta.get("version") != _VERSION:
            raise ValueError(
                f"{folder} has version {meta.get('version')} of the format, expected {_VERSION}: fit it again"
            )
        try:
            return _read(folder, meta)
        except (OSError, SafetensorError, pl.exceptions.PolarsError, KeyError, TypeError, RuntimeError) as error:
            raise ValueError(f"{folder}: a part of the fitted simulator is missing or damaged: {error}") from error


def record_gate(folder: Path | str, failures: tuple[str, ...]) -> None:
    """Write the outcome of a fidelity check into a simulator's folder, so that whoever loads it is warned.

    Raises:
        ValueError: the folder has no readable ``simulator.json``.
    """
    path = Path(folder) / "simulator.json"
    write_json(path, {**read_json(path), "gate_failed": list(failures)})


def _describe(fitted: FittedSimulator) -> dict[str, Any]:
    leave = fitted.sessions.leave_probability
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "config": asdict(fitted.config),
        "plan": fitted.plan.to_json(),
        "shape": fitted.network.shape.to_json(),
        "users": fitted.users.to_json(),
        "items": fitted.items.to_json(),
        "sessions": {
            "base_step_s": fitted.sessions.base_step_s,
            "leave_probability": None if np.isnan(leave) else leave,
            "alike": None if fitted.sessions.pace is None else fitted.sessions.pace.alike,
        },
        "facts": asdict(fitted.facts),
        "report": json.loads(json.dumps(asdict(fitted.report))),
        "gate_failed": list(fitted.gate_failed),
    }


_STREAM = tuple(ItemStream.__dataclass_fields__)
_PACE = ("edges", "low", "high", "added")


def _tables(fitted: FittedSimulator) -> dict[str, Tensor]:
    tables = {f"snapshots.{name}": getattr(fitted.snapshots, name) for name in Snapshots.__dataclass_fields__}
    tables["snapshots.items"] = tables["snapshots.items"].int()
    arrays = {
        "rates.by_position": fitted.rates.by_position,
        "rates.by_item": fitted.rates.by_item,
        "size_rates": fitted.size_rates,
        "item_lengths": fitted.item_lengths,
        "gaps_s": fitted.sessions.gaps_s,
    }
    pace = fitted.sessions.pace
    if pace is not None:
        tables |= {f"pace.{name}": getattr(pace, name) for name in _PACE}
    if fitted.context is not None:
        arrays |= {"context.first_time": fitted.context.first_time, "context.base": fitted.context.base}
        arrays |= {f"context.{name}": getattr(fitted.context.stream, name) for name in _STREAM}
    tables |= {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    return {name: table.contiguous() for name, table in tables.items()}


def _read(folder: Path, meta: dict[str, Any]) -> FittedSimulator:
    plan = ResponsePlan.from_json(meta["plan"])
    network = ResponseNetwork(NetworkShape(**meta["shape"]), plan.schema)
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    tables = load_file(folder / "tables.safetensors")
    arrays = {name: table.numpy() for name, table in tables.items()}
    tables["snapshots.items"] = tables["snapshots.items"].long()
    context = None
    if "context.base" in arrays:
        stream = ItemStream(*(arrays[f"context.{name}"] for name in _STREAM))
        context = ItemContext(arrays["context.first_time"], arrays["context.base"], stream)
    leave = meta["sessions"]["leave_probability"]
    facts, report, alike = meta["facts"], meta["report"], meta["sessions"]["alike"]
    users = pl.read_parquet(folder / "users.parquet")
    return FittedSimulator(
        config=LearnedConfig(**meta["config"]),
        plan=plan,
        network=network.eval(),
        users=FeatureEncoder.from_json(meta["users"]),
        items=FeatureEncoder.from_json(meta["items"]),
        user_ids=users["id"],
        user_last=users["last"].to_numpy(),
        item_ids=pl.read_parquet(folder / "items.parquet")["id"],
        item_lengths=arrays["item_lengths"],
        context=context,
        size_rates=arrays["size_rates"],
        rates=RateTables(arrays["rates.by_position"], arrays["rates.by_item"]),
        sessions=SessionFacts(
            meta["sessions"]["base_step_s"], float("nan") if leave is None else leave, arrays["gaps_s"],
            None if alike is None else Pace(**{name: tables[f"pace.{name}"] for name in _PACE}, alike=alike),
        ),
        snapshots=Snapshots(*(tables[f"snapshots.{name}"] for name in Snapshots.__dataclass_fields__)),
        facts=SourceFacts(
            **{**facts, "exposures": ExposureSource(facts["exposures"]), "sizes": tuple(facts["sizes"])}
        ),
        report=FitReport(
            report["rows"], report["steps"], tuple(Epoch(**epoch) for epoch in report["epochs"]),
            tuple(report["notes"]), report["seed"],
        ),
        gate_failed=tuple(meta["gate_failed"]),
    )  # fmt: skip
