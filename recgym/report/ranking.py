"""Which policies may be called best."""

from collections.abc import Mapping
from typing import Any

from recgym.report.words import bound

__all__ = ["best_policies", "ranked"]

Result = Mapping[str, Any]


def ranked(policies: Mapping[str, Result]) -> list[str]:
    """The policies whose return is known, the highest first."""
    known = [name for name, entry in policies.items() if entry.get("return") is not None]
    return sorted(known, key=lambda name: -float(policies[name]["return"]))


def best_policies(policies: Mapping[str, Result]) -> list[str]:
    """The policy with the highest return and all whose intervals overlap with its own, highest first.

    An entry with ``oracle`` is a yardstick and left out: it sees what no policy can. A return without an interval
    counts as exact.
    """
    contenders = [name for name in ranked(policies) if not policies[name].get("oracle")]
    if not contenders:
        return []
    least = bound(policies[contenders[0]], "low", "return")
    return [contenders[0], *(name for name in contenders[1:] if bound(policies[name], "high", "return") >= least)]
