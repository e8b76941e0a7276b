"""The table of speed in the README, from the committed benchmark: ``python -m docs.readme`` writes it anew."""

import re
from typing import Any

from docs.generate.markdown import ROOT, results, table

__all__ = ["MARKED", "speed_table"]

MARKED = re.compile(r"(?<=<!-- speed -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)
_PAIRS = {
    "long-term satisfaction": ("recgym/LongTermSatisfaction-v0", "recsim/LongTermSatisfaction"),
    "interest evolution, slates of 2 of 10": ("recgym/InterestEvolution-v0", "recsim/InterestEvolution(10, 2)"),
    "interest evolution, slates of 5 of 100": (
        "recgym/InterestEvolution-v0(100, 5)",
        "recsim/InterestEvolution(100, 5)",
    ),
}


def speed_table() -> str:
    """User-steps a second beside RecSim, with the command that measured them."""
    found = results("benchmarks/results")["env_speed"]
    rows = []
    for name, (ours, theirs) in _PAIRS.items():
        figures = (_speed(found, theirs, 1), _speed(found, ours, 1), _speed(found, ours, 1024))
        rows.append([name, *(f"{figure:,.0f}" for figure in figures)])
    columns = ["user-steps a second", "RecSim, one user", "recgym, one user", "recgym, 1,024 users side by side"]
    machine = f"{found['processor']}, one core"
    return table(columns, rows) + f"\nRandom slates, {machine}: `{found['command']}`.\n"


def _speed(found: dict[str, Any], env: str, users: int) -> float:
    rows = found["rows"]
    return next(float(r["steps_per_s"]) for r in rows if (r["env"], r["face"], r["B"]) == (env, "gymnasium", users))


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(MARKED.sub(speed_table(), readme.read_text(encoding="utf-8")), encoding="utf-8")
