"""A folder with a run of every kind, as the commands write them."""

import json
import os
from pathlib import Path
from typing import Any

from tests.report import abtest_sample
from tests.report.sample import result

__all__ = ["curve", "encoder_result", "epochs", "ope_result", "story", "write_runs"]


def write_runs(root: Path, hostile: str = "click") -> None:
    """One run of every kind; a channel and a policy may be given names that should do no harm."""
    whole = result(hostile)
    _write(root / "demo", {"result.json": whole})
    _write(root / "demo" / "agent", {"curve.json": whole["learning_curve"]})
    ppo = {
        "env": "recgym/ShortVideo-v0",
        "env_kwargs": {},
        "agent": "ppo",
        "settings": {"gamma": 0.99},
        "steps": 40_000,
    }
    done = {"agent": "ppo", "env": "recgym/ShortVideo-v0", "steps": 40_000, "learning_curve": curve(8)}
    _write(root / "train" / "a", {"config.json": ppo | {"seed": 0}, "result.json": done})
    _write(root / "train" / "b", {"config.json": ppo | {"seed": 1}, "curve.json": curve(3)})
    trial = {"steps": 40_000, "return": 8.1, "low": 7.9, "high": 8.3}
    told = {
        "env": "recgym/ShortVideo-v0",
        "agent": "ppo",
        "grid": {"gamma": [0.9, 0.99]},
        "seeds": [0],
        "steps": 40_000,
    }
    chosen = [{"gamma": gamma, **trial, "finished": 1} for gamma in (0.9, 0.99)]
    trials = [{**row, "seed": 0, "finished": True} for row in chosen]
    swept = {"env": told["env"], "agent": "ppo", "sweep": told, "settings": chosen, "trials": trials}
    _write(root / "sweep", {"sweep.json": told, "result.json": swept})
    _write(root / "sweep" / "trials" / "0000", {"result.json": trial, "curve.json": curve(8)})
    losses = [{"updates": 100 * i, "loss": 2 / i, "entropy": 0.1 * i} for i in range(1, 9)]
    bc = {"log": "logs/a", "task": "recgym/ShortVideo-v0", "agent": "bc", "updates": 800}
    _write(root / "offline", {"config.json": bc, "result.json": bc | {"learning_curve": losses}})
    gru = {"encoder": "gru4rec", "data": "logs/a", "settings": {"width": 64}, "seed": 0}
    _write(root / "encoder" / "a", {"config.json": gru, "result.json": gru | encoder_result(hostile)})
    _write(root / "encoder" / "b", {"config.json": gru | {"seed": 1}, "epochs.json": epochs(4)})
    policies = whole["policies"]
    evaluated = {"env": "recgym/ShortVideo-v0", "policies": policies}
    _write(root / "evaluated", {"result.json": evaluated, "story.json": story(hostile)})
    check = {
        "channels": whole["fidelity"], "session_length": whole["session_length"], "free_run": whole["free_run"],
        "checks": whole["gate"]["checks"], "passed": False, "failures": ["click: too far"], "notes": [],
    }  # fmt: skip
    _write(root / "check", {"result.json": check})
    _write(root / "ope", {"result.json": ope_result()})
    _write(root / "ab", {"result.json": abtest_sample.result()})


def curve(points: int) -> list[dict[str, Any]]:
    rows = []
    for i in range(1, points + 1):
        away = 5 * 0.8**i
        rows.append({"steps": 5000 * i, "return": 8.4 - away, "low": 8.1 - away, "high": 8.7 - away, "episodes": 9})
    return rows


def epochs(count: int) -> list[dict[str, Any]]:
    """An encoder's curve, validated after every other epoch."""
    return [{"epochs": i, "loss": 8 / i, "ndcg@10": None if i % 2 else 0.1 - 0.1 / i} for i in range(1, count + 1)]


def encoder_result(split: str = "leave-one-out") -> dict[str, Any]:
    metrics = {name: {"mean": mean, "low": mean - 0.01, "high": mean + 0.01} for name, mean in
               (("hr@10", 0.28), ("ndcg@10", 0.15), ("coverage@10", 0.6))}  # fmt: skip
    ranking = {
        "queries": 6040, "protocol": {"split": split, "digest": "0123abcd"}, "metrics": {"all": metrics},
        "notes": ["Leave-one-out leaks time."],
    }  # fmt: skip
    return {"ranking": ranking, "learning_curve": epochs(9)}


def ope_result() -> dict[str, Any]:
    def estimate(name: str, value: float | None) -> dict[str, Any]:
        diagnostics = {"effective_n": 120.5, "max_weight": 8.1, "warnings": ["few weights carry the estimate"]}
        low, high = (None, None) if value is None else (value - 1, value + 1)
        return {"estimator": name, "value": value, "low": low, "high": high, "diagnostics": diagnostics}

    entry = {
        "estimates": [estimate("IS", 8.0), estimate("WDR", 9.1), estimate("DM", None)],
        "online": {"return": 9.0, "low": 8.7, "high": 9.3},
    }
    return {
        "log": "logs/a", "name": "recgym/ShortVideo-v0", "steps": 27_185, "episodes": 2048, "gamma": 1.0,
        "logged_return": 5.4, "policies": {"runs/ppo": entry, "random": {"estimates": entry["estimates"]}},
    }  # fmt: skip


def story(channel: str = "click") -> dict[str, Any]:
    """Two users of slates of three under two policies, one with a memory."""

    def user(number: int, remembers: bool) -> dict[str, Any]:
        steps = 45
        drift = [round(0.5 + 0.4 * ((i % 9) - 4) / 9, 4) for i in range(steps + 1)]
        memory = {"norm": drift[1:], "plane": [[v, -v] for v in drift[1:]], "explained": 0.83, "width": 32}
        return {
            "user": number, "steps": steps, "left": True, "cut": False, "time_s": [30.0 * i for i in range(steps)],
            "session": [i // 20 for i in range(steps)], "slate": [[i % 7, 7 + i % 5, 12] for i in range(steps)],
            "reward": [float(i % 3 == 0) for i in range(steps)], "propensity": [0.01] * steps,
            "feedback": {channel: [[float(i % 3 == 0), 0.0, 0.0] for i in range(steps)]},
            "mood": {"satisfaction": drift}, "constant": {"patience": 12.5},
            "parts": {"interests": [[v, -v, v * v] for v in drift], "fatigue": drift},
            "memory": memory if remembers else None,
            "seen": {"events in the history": [float(i) for i in range(steps)]},
        }  # fmt: skip

    return {
        "format": "recgym-story", "version": 1, "env": "recgym/ShortVideo-v0", "seed": 0, "num_items": 20,
        "channels": [{"name": channel, "kind": "binary", "unit": ""}],
        "items": {str(i): {"features": [0.1, 0.9], "title": f"{channel} {i}"} if i else {} for i in range(13)},
        "policies": {
            "ppo": {"users": [user(0, True), user(1, True)]}, "random": {"users": [user(0, False), user(1, False)]},
        },
    }  # fmt: skip


def _write(folder: Path, files: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    for order, (name, value) in enumerate(files.items()):
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
        status = (folder / name).stat()
        os.utime(folder / name, ns=(status.st_atime_ns, status.st_mtime_ns + order))
