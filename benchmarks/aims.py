"""What each benchmark's figures are held against, in one place; a miss is reported as a miss."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeAlias

from reproductions.claims import Claim

__all__ = ["AIMS", "Aim", "claims_of"]

Body: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Aim:
    """A figure and the line that it must reach.

    Attributes:
        claim: a sentence.
        reference: the line.
        values: the figures in a result, one a run; none where nothing was measured, as where a peer is absent.
        least: whether the median must be at least the reference; at most, otherwise.
    """

    claim: str
    reference: float
    values: Callable[[Body], Sequence[float]]
    least: bool = True

    def judge(self, body: Body) -> Claim | None:
        """What a result says of the aim: median, least and greatest; None where it says nothing."""
        found = sorted(self.values(body))
        if not found:
            return None
        middle = float(median(found))
        holds = middle >= self.reference if self.least else middle <= self.reference
        return Claim(self.claim, middle, float(found[0]), float(found[-1]), self.reference, holds)


def claims_of(name: str, body: Body) -> list[Claim]:
    """What the result of a benchmark says of its aims."""
    judged = (aim.judge(body) for aim in AIMS.get(name, ()))
    return [claim for claim in judged if claim is not None]


def _row(value: str, **wanted: Any) -> Callable[[Body], list[float]]:
    """That value of the rows that match."""

    def values(body: Body) -> list[float]:
        return [row[value] for row in body["rows"] if all(row[key] == it for key, it in wanted.items())]

    return values


def _ratio(env: str, peer: str, users: int | None = None) -> Callable[[Body], list[float]]:
    """The ratios, one a pair of runs, of a comparison; of several peers, those of the best of them."""

    def values(body: Body) -> list[float]:
        found = [
            ratio for ratio in body["ratios"]
            if ratio["env"] == env and peer in ratio["peer"] and users in (None, ratio["B"])
        ]  # fmt: skip
        if not found:
            return []
        best = min(found, key=lambda ratio: ratio["median"])
        return [mine / other for mine, other in zip(best["ours"], best["theirs"], strict=True)]

    return values


def _over(value: str, first: dict[str, Any], second: dict[str, Any]) -> Callable[[Body], list[float]]:
    """A row's value over that of another."""

    def values(body: Body) -> list[float]:
        return [x / y for x, y in zip(_row(value, **first)(body), _row(value, **second)(body), strict=False)]

    return values


def _best_speed(body: Body) -> list[float]:
    """Of one learned simulator: a user of two cores may use one; where other work wants the other, that is faster."""
    ours = [ratio["ours"] for ratio in body["ratios"] if ratio["peer"] == "set"]
    return max(ours, key=median) if ours else []


def _price(threads: int) -> Callable[[Body], list[float]]:
    def values(body: Body) -> list[float]:
        return [
            one / other for ratio in body["ratios"] if ratio["peer"] == "set" and ratio["threads"] == threads
            for one, other in zip(ratio["ours"], ratio["theirs"], strict=True)
        ]  # fmt: skip

    return values


def _flat(body: Body) -> list[float]:
    seconds = [row["seconds"] for row in body["rows"]]
    return [max(seconds) / min(seconds)]


def _runs(body: Body) -> list[float]:
    return [run["steps_per_s"] for run in body["runs"]]


def _power(axis: str) -> Callable[[Body], list[float]]:
    return lambda body: [body["slopes"][axis]]


LTS, IE = "recgym/LongTermSatisfaction-v0", "recgym/InterestEvolution-v0"

AIMS: dict[str, tuple[Aim, ...]] = {
    "env_speed": (
        Aim(
            "LongTermSatisfaction, B 16384, core: user-steps/s", 1e7, _row("steps_per_s", env=LTS, face="core", B=16384)
        ),
        Aim("the same through Gymnasium", 3e6, _row("steps_per_s", env=LTS, face="gymnasium", B=16384)),
        Aim("InterestEvolution (10, 2), B 16384: user-steps/s", 2e6, _row("steps_per_s", env=IE, face="core", B=16384)),
        Aim(
            "InterestEvolution (100, 5), B 16384: user-steps/s",
            5e5,
            _row("steps_per_s", env=f"{IE}(100, 5)", face="core", B=16384),
        ),
        Aim("LongTermSatisfaction, B 1, over RecSim", 1.0, _ratio("recgym/LongTermSatisfactionRecSim-v0", "recsim", 1)),
        Aim("InterestEvolution (10, 2), B 1, over RecSim", 1.0, _ratio(IE, "recsim", 1)),
        Aim("InterestEvolution (100, 5), B 1, over RecSim", 1.0, _ratio(f"{IE}(100, 5)", "recsim", 1)),
    ),
    "learned_speed": (
        Aim("one learned simulator, B 4096: user-steps/s", 5e4, _best_speed),
        Aim("price of a set of 8 over one simulator, one thread", 1.6, _price(1), least=False),
        Aim("price of a set of 8 over one simulator, two threads", 1.6, _price(2), least=False),
    ),
    "sb3_ppo": (Aim("PPO on LongTermSatisfaction, 256 users: user-steps/s", 25_000, _runs),),
    "recurrent_ppo": (Aim("recurrent PPO, over sb3-contrib's", 1.0, _ratio("LongTermSatisfaction-v0", "sb3-contrib")),),
    "encoder_loop": (
        Aim(
            "PPO with encoder states, 256 learned users, over SyncVectorEnv",
            3.0,
            _ratio("PPO on encoded learned users", "SyncVectorEnv"),
        ),
        Aim("a step late in a session over one early in it", 1.2, _flat, least=False),
        Aim(
            "item scores beyond the window, from those of the whole history",
            1e-5,
            lambda body: [body["scores_apart"]],
            least=False,
        ),
    ),
    "encoders": (
        *(
            Aim(f"SASRec training on {name}, over plain PyTorch", 5.0, _ratio(f"SASRec on {name}", "plain PyTorch"))
            for name in ("ml-1m", "beauty")
        ),
        *(
            Aim(f"SASRec training on {name}, over RecBole", 3.0, _ratio(f"SASRec on {name}", "RecBole"))
            for name in ("ml-1m", "beauty")
        ),
        *(
            Aim(
                f"HSTU, {length} events: speed over a softmax Transformer's",
                1.0,
                _over(
                    "events_per_s",
                    {"what": "HSTU: forward and backward", "T": length},
                    {"what": "softmax Transformer: forward and backward", "T": length},
                ),
            )
            for length in (1024, 2048)
        ),
        Aim(
            "SIGMA: time per event of 2,048 over that of 512 events",
            1.2,
            _over(
                "events_per_s",
                {"what": "SIGMA: forward and backward", "T": 512},
                {"what": "SIGMA: forward and backward", "T": 2048},
            ),
            least=False,
        ),
    ),
    "activation": tuple(
        Aim(
            f"{what}, 4,096 users of 1,000 events, {items:,} items: ms",
            50.0,
            _row("ms", what=what, items=items, users=4096),
            least=False,
        )
        for what in ("base level", "spreading", "partial matching")
        for items in (2_000, 20_000)
    ),
    "offline_agents": (
        Aim("Decision Transformer training, over d3rlpy's", 1.5, _ratio("Decision Transformer", "d3rlpy")),
    ),
    "d3rlpy_bridge": tuple(
        Aim(f"{name} through the bridge, over d3rlpy itself", 0.9, _row("median", agent=name))
        for name in ("d3rlpy-discrete-cql", "d3rlpy-iql", "d3rlpy-td3-bc", "d3rlpy-dt")
    ),
    "bandits": (
        *(Aim(f"{name}, one stream, over the best peer", 5.0, _ratio(name, "", 1)) for name in ("LinUCB", "LinTS")),
        *(
            Aim(f"{name}, 256 replications, over the best peer", 100.0, _ratio(name, "", 256))
            for name in ("LinUCB", "LinTS")
        ),
    ),
    "ope": (
        *(
            Aim(f"{name}: {what} over obp's", reference, _ratio(f"{name}: {what}", "obp"))
            for name in ("IPW", "SNIPW", "DR")
            for what, reference in (("point", 1.0), ("resamples", 4.0))
        ),
        *(
            Aim(
                f"{name} of 100,000 episodes of 10 steps: seconds",
                0.2,
                _row("seconds", what=f"{name}: episodes of 10 steps", n=100_000),
                least=False,
            )
            for name in ("PDIS", "DR")
        ),
    ),
    "abtest": (
        Aim(
            "10,000 A/B tests of 20,000 users, two workers: seconds",
            120.0,
            _row("seconds", what="replicate", workers=2, replications=10_000),
            least=False,
        ),
    ),
    "growth": (
        *(
            Aim(f"time of a step by {axis}: power", 1.1, _power(axis), least=False)
            for axis in ("users", "slate", "candidates", "items")
        ),
        Aim("time of one event by the length of the session: power", 0.1, _power("session"), least=False),
    ),
    "logs": (),
    "scaling": tuple(
        Aim(f"{what}, two workers over one, each with its own work", 1.7, _row("median", what=what))
        for what in ("rollout", "replicate")
    ),
    "million_items": (
        Aim("the best 100 of a million items for 1,024 users: seconds", 4.0, lambda body: body["seconds"], least=False),
        Aim("the same: peak memory beyond the model's, GiB", 2.0, lambda body: [body["peak_gib"]], least=False),
    ),
}
"""By benchmark."""
