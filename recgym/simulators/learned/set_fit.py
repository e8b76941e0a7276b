"""Fitting a set of simulators to one log: members that differ in what the log leaves open."""

import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from recgym.data.schema import InteractionLog
from recgym.files import atomic_folder, read_json, write_json
from recgym.seeding import child_seed, make_generator
from recgym.simulators.learned.config import LearnedConfig
from recgym.simulators.learned.fit import fit
from recgym.simulators.learned.fitted import FittedSimulator
from recgym.simulators.learned.lesson import Variation
from recgym.simulators.learned.simulator_set import SimulatorSet, load_members, write_set
from recgym.simulators.learned.training import Epoch

__all__ = ["SetConfig", "SetProgress", "fit_set", "member_config"]

SetProgress = Callable[[int, Epoch], None]
_PLAN = "fit.json"


@dataclass(frozen=True)
class SetConfig:
    """How a set of simulators is fitted.

    Attributes:
        members: M.
        base: settings that all members share, but for the next two.
        widths: shares of the base's ``hidden`` and ``item_width`` that members are dealt, each independently.
        dropouts: values of ``dropout`` that members are dealt.
        resample: whether each member learns from users drawn with replacement.
        dynamics: whether each member's dynamics are drawn within what the log's validation tail leaves open; see
            :func:`recgym.simulators.learned.set_dynamics.bend`.
    """

    members: int = 8
    base: LearnedConfig = field(default_factory=LearnedConfig)
    widths: tuple[float, ...] = (0.5, 0.75, 1.0)
    dropouts: tuple[float, ...] = (0.05, 0.1, 0.2)
    resample: bool = True
    dynamics: bool = True

    def __post_init__(self) -> None:
        if self.members < 1:
            raise ValueError(f"members must be at least 1, found {self.members}")
        if not self.widths or not all(0 < width <= 1 for width in self.widths):
            raise ValueError(f"widths must be shares above 0 and at most 1, found {self.widths}")
        if not self.dropouts or not all(0 <= dropout < 1 for dropout in self.dropouts):
            raise ValueError(f"dropouts must be at least 0 and below 1, found {self.dropouts}")


def member_config(config: SetConfig, member: int, seed: int) -> LearnedConfig:
    """The settings of one member: each kind of value is dealt evenly, in an order of its own.

    So no member's number tells anything of what it is.
    """

    def dealt(values: tuple[float, ...], kind: str) -> float:
        order = make_generator(seed, f"{kind} of members", device="numpy").permutation(config.members)
        return values[int(order[member]) % len(values)]

    base = config.base
    return replace(
        base,
        hidden=max(round(base.hidden * dealt(config.widths, "widths")), 2),
        item_width=max(round(base.item_width * dealt(config.widths, "item widths")), 1),
        dropout=dealt(config.dropouts, "dropouts"),
    )


def fit_set(
    log: InteractionLog,
    config: SetConfig | None = None,
    seed: int = 0,
    folder: Path | str | None = None,
    progress: SetProgress | None = None,
) -> SimulatorSet:
    """Fit the members of a set, one after the other.

    Each is a fit of its own (:func:`recgym.simulators.learned.fit`) with its own weights, order of batches, widths,
    dropout, sample of users and bent dynamics. Items, encoders, response heads and the logged users from which
    simulated ones start are the same in all. Rows that are to judge the set must not be in the log.

    Args:
        log: the log.
        config: settings.
        seed: root seed; a member depends on it and on its number alone.
        folder: where each member is saved as soon as it is there. Members that an earlier call left there are not
            fitted again.
        progress: called with the member's number and each of its passes over the log.

    Raises:
        ValueError: the folder holds other things, or members of another log, other settings or another seed; or see
            :func:`recgym.simulators.learned.fit`.
    """
    config = config or SetConfig()
    if folder is None:
        return SimulatorSet([_fit_member(log, config, number, seed, progress) for number in range(config.members)])
    folder = Path(folder)
    _claim(folder, {"log": _fingerprint(log), "config": asdict(config), "seed": seed})
    names = [f"member-{number}" for number in range(config.members)]
    for number, name in enumerate(names):
        if not (folder / name / "simulator.json").is_file():
            _fit_member(log, config, number, seed, progress).save(folder / name)
    write_set(folder, names)
    return SimulatorSet(load_members(folder))


def _fit_member(
    log: InteractionLog, config: SetConfig, number: int, seed: int, progress: SetProgress | None
) -> FittedSimulator:
    sample = None
    if config.resample:
        users = log.frame["user"].unique().sort().to_numpy()
        generator = make_generator(seed, "sample of users", number, device="numpy")
        sample = users[generator.integers(users.size, size=users.size)]
    return fit(
        log,
        member_config(config, number, seed),
        child_seed(seed, "member", number),
        None if progress is None else lambda epoch: progress(number, epoch),
        Variation(sample, config.dynamics),
    )


def _fingerprint(log: InteractionLog) -> dict[str, Any]:
    """What tells one log from another."""
    frame = log.frame
    columns = [frame[name].fill_null(0).to_numpy() for name in ("user", "item", "time_s", *log.schema.names)]
    checksum = 0
    for column in columns:
        checksum = zlib.crc32(np.ascontiguousarray(column).tobytes(), checksum)
    return {"rows": log.n_rows, "users": log.n_users, "items": log.n_items, "checksum": checksum}


def _claim(folder: Path, plan: dict[str, Any]) -> None:
    """Write into a new folder what is being fitted there, or make sure that an old one was for the same.

    Raises:
        ValueError: it was not.
    """
    plan = {**plan, "config": {**plan["config"], "widths": list(plan["config"]["widths"])}}
    plan["config"]["dropouts"] = list(plan["config"]["dropouts"])
    if (folder / _PLAN).is_file():
        found = read_json(folder / _PLAN)
        for name, value in plan.items():
            if found.get(name) != value:
                raise ValueError(
                    f"{folder} holds members that were fitted with another {name}; remove it or name another place"
                )
        return
    with atomic_folder(folder, _PLAN) as temporary:
        write_json(temporary / _PLAN, plan)
