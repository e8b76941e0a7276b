"""Whether ACT-R users fitted to invoices come back to what they bought as customers of the later weeks did."""

from pathlib import Path
from typing import Any

from recgym.data import read_log
from recgym.evaluation.relisten import RepeatBehaviour, relisten_fidelity
from recgym.simulators.actr import ACTRFitConfig
from reproductions.claims import Claim
from reproductions.running import kept

__all__ = ["claims_of", "relisten_row"]

_MEASURES = ("gap_ks", "user_ks", "user_error")


def relisten_row(folder: Path, root: Path) -> dict[str, Any]:
    """The held-out weeks of Online Retail beside fitted users and users who go by popularity, made once."""

    def make() -> dict[str, Any]:
        log = read_log(root / "online-retail", "online-retail")
        found = relisten_fidelity(log, ACTRFitConfig(session_gap_s=86_400.0))
        parts = {name: _plain(getattr(found, name)) for name in ("held_out", "actr", "popularity")}
        return {"relisten": "online-retail", "users": found.users, "consumptions": found.consumptions, **parts}

    return kept(folder / "relisten.json", make)


def _plain(behaviour: RepeatBehaviour) -> dict[str, Any]:
    return {**behaviour._asdict(), "repeat_ratio": behaviour.repeat_ratio._asdict()}


def claims_of(row: dict[str, Any]) -> list[Claim]:
    """That fitted users are nearer to the held-out weeks than users who go by popularity, by every measure."""
    truth, actr, popularity = (row[name] for name in ("held_out", "actr", "popularity"))

    def off(behaviour: dict[str, Any]) -> float:
        return abs(float(behaviour["repeat_ratio"]["mean"] - truth["repeat_ratio"]["mean"]))

    pairs = {"distance of the repeat ratio": (off(actr), off(popularity))}
    pairs |= {measure: (float(actr[measure]), float(popularity[measure])) for measure in _MEASURES}
    return [
        Claim(f"relisten, online-retail: {name}, less than that of users by popularity", mine, mine, mine, theirs,
              mine < theirs)
        for name, (mine, theirs) in pairs.items()
    ]  # fmt: skip
