"""Results of ``recgym abtest`` with every part, as the report builder takes them."""

from typing import Any

import numpy as np

__all__ = ["adaptive_result", "result"]

LOOKS = list(range(100, 2001, 100))


def result(metric: str = "click") -> dict[str, Any]:
    """Two arms compared by three methods; the name of the metric may be given."""
    share = np.linspace(0.01, 0.8, len(LOOKS))
    methods = ("fixed", "peeking", "msprt")
    return {
        "env": "recgym/ShortVideo-v0", "arms": {"a": "random", "b": "runs/ppo"}, "users": 2000, "pool": 5000,
        "replications": 400, "alpha": 0.05, "design": "a fixed split by users", "looks": LOOKS,
        "metrics": {metric: {
            "arms": {name: _interval(mean) for name, mean in (("a", 1.0), ("b", 1.3))},
            "effects": {"b": {"mean": 0.3, "low": 0.2, "high": 0.4}},
        }},
        "comparisons": [
            {"arm": "b", "metric": metric, "method": method, "truth": 0.3, "rejected": 0.8, "low": 0.75, "high": 0.84,
             "users": 900, "users_10": 300, "users_90": 2000, "difference": 0.35, "bias": 0.05, "coverage": 0.97,
             "rejected_by": share.tolist(), "path": _path(method)}
            for method in methods
        ],
        "plan": [{"metric": metric, "method": "b, fixed", "effect": 0.3, "users": 1500, "power": 0.8,
                  "expected": 1500.0, "days": 15}],
        "verdicts": [{"arm": "b", "method": "fixed", "metrics": [metric], "better": [0.8], "worse": [0.0],
                      "guardrails": 0.9, "ship": 0.7}],
        "novelty": [{"arm": "b", "channel": metric, "steps": 5, "effect": [0.4, 0.3], "error": [0.1, 0.1],
                     "slope": -0.1, "p": 0.02}],
        "lost": 0.0, "constant": ["length"], "command": "recgym abtest", "seconds": {"simulation": 3.2},
        "versions": {"python": "3.11.7"},
    }  # fmt: skip


def adaptive_result() -> dict[str, Any]:
    """Allocation by a bandit."""
    regret = (np.sqrt(LOOKS) * 0.5).tolist()
    rows = [
        {"arm": arm, "share": share, "truth": 1.0, "plain": 0.97, "plain_coverage": 0.9, "weighted": 1.0,
         "weighted_coverage": 0.95}
        for arm, share in (("a", 0.2), ("b", 0.8))
    ]  # fmt: skip
    curves = {"thompson": {"mean": regret, "low": regret, "high": regret}, "even split": {"mean": LOOKS}}
    adaptive = {"metric": "click", "users": LOOKS, "regret": curves, "estimates": rows}
    return {**result(), "comparisons": [], "plan": [], "verdicts": [], "novelty": [], "adaptive": adaptive}


def _interval(mean: float) -> dict[str, float]:
    return {"mean": mean, "low": mean - 0.05, "high": mean + 0.05}


def _path(method: str) -> dict[str, list[float | None]]:
    half = 2 / np.sqrt(np.arange(1, len(LOOKS) + 1))
    low: list[float | None] = (0.3 - half).tolist()
    high: list[float | None] = (0.3 + half).tolist()
    if method == "msprt":  # bounds that are not there yet
        low[0] = high[0] = None
    return {"difference": [0.3] * len(LOOKS), "low": low, "high": high, "p": np.geomspace(1, 1e-9, len(LOOKS)).tolist()}
