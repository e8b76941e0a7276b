"""Sessions simulated beside the real ones, from the same starts, and how far the two are apart."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from recgym.data.schema import InteractionLog
from recgym.evaluation.fidelity.distances import Distance, gap_distance, length_distance
from recgym.evaluation.fidelity.features import SessionFeatures, session_features
from recgym.evaluation.fidelity.heldout import HeldOut, held_out
from recgym.evaluation.fidelity.plain import bounds
from recgym.evaluation.fidelity.play import play_learned, play_others
from recgym.evaluation.fidelity.slices import Slice, rates_by_history, rates_by_position
from recgym.evaluation.fidelity.traces import Traces
from recgym.evaluation.fidelity.two_sample import TwoSample, real_against_real, two_sample_test
from recgym.seeding import make_generator
from recgym.simulators.learned import FittedSimulator
from recgym.simulators.learned.threads import one_thread
from recgym.simulators.rates_users import Rates, RatesUsers
from recgym.stats import Interval, cluster_weights, few_clusters, percentile_interval

__all__ = ["FreeRun", "FreeRunConfig", "free_run"]

FEWEST_SESSIONS = 50


@dataclass(frozen=True)
class FreeRunConfig:
    """How much is simulated.

    Attributes:
        sessions: held-out sessions at most, drawn at random.
        max_steps: real and simulated sessions are cut there.
    """

    sessions: int = 4000
    max_steps: int = 100

    def __post_init__(self) -> None:
        if self.sessions < FEWEST_SESSIONS or self.max_steps < 1:
            raise ValueError(
                f"a free run needs at least {FEWEST_SESSIONS} sessions and 1 step, "
                f"found {self.sessions} and {self.max_steps}"
            )


@dataclass(frozen=True)
class FreeRun:
    """Real sessions after the end of the simulator's log against simulated ones.

    Every simulated session starts where a real one did, with the same user and all that the log says of the user before
    it, and shows the same slates while the real session lasted; see
    :func:`recgym.evaluation.fidelity.play.play_others` for what comes then.

    Attributes:
        sessions: real ones, and as many simulated ones.
        users: whose they are.
        session_length: steps of sessions.
        return_gap: times between sessions.
        slices: mean feedback by position and by history.
        two_sample: how well a classifier tells the two apart.
        baseline: the same for users who answer by popularity and overall rates; None if the log holds nothing of the
            time before the simulator's end of log to take rates from.
        share: two-sample AUC - 0.5 of the simulator over that of the baseline, likewise.
        control: the test of real against real sessions: 0.5, but for chance.
        notes: what one should know.
    """

    sessions: int
    users: int
    session_length: Distance
    return_gap: Distance
    slices: tuple[Slice, ...]
    two_sample: TwoSample
    baseline: TwoSample | None
    share: Interval | None
    control: TwoSample
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """A value that JSON can hold."""
        return {
            "sessions": self.sessions,
            "users": self.users,
            "session_length": self.session_length.to_json(),
            "return_gap": self.return_gap.to_json(),
            "slices": [part.to_json() for part in self.slices],
            "two_sample": {
                "learned users": self.two_sample.to_json(),
                "popularity and overall rates": None if self.baseline is None else self.baseline.to_json(),
                "real against real": self.control.to_json(),
                **({} if self.share is None else bounds(share=self.share)),
            },
            "notes": list(self.notes),
        }


@one_thread()
def free_run(
    fitted: FittedSimulator, log: InteractionLog, config: FreeRunConfig, seed: int, replicates: int, level: float
) -> FreeRun | None:
    """Simulate the held-out sessions of a log and compare.

    Args:
        fitted: the simulator.
        log: a log with rows after the simulator's end of log; rows before serve as history.
        config: how much is simulated.
        seed: root seed.
        replicates: bootstrap replicates, which resample users.
        level: confidence level of the intervals.

    Returns:
        None if the log has no slates or no times, or fewer than 50 whole sessions were held out.
    """
    found = held_out(fitted, log, seed)
    if found is None or found.real.n_sessions < FEWEST_SESSIONS:
        return None
    kept = _some_of(found, config.sessions, seed)
    schema, primary = fitted.schema, fitted.plan.primary
    real = kept.real.cut(config.max_steps)
    learned = play_learned(kept, seed, config.max_steps)
    popularity = fitted.rates.predict(np.arange(fitted.n_items), np.full(fitted.n_items, -1))["popularity"]

    def features(traces: Traces) -> SessionFeatures:
        return session_features(traces, schema, primary, popularity[:, primary, 0])

    def test(simulated: Traces) -> TwoSample:
        return two_sample_test(features(real), features(simulated), real.user, seed, replicates, level)

    others = _baseline(fitted, log, kept, config, seed)
    two_sample, baseline = test(learned), None if others is None else test(others)
    _, users = few_clusters(real.user)
    weights = cluster_weights(users, replicates, make_generator(seed, "free run", device="numpy"))
    return FreeRun(
        sessions=real.n_sessions,
        users=users,
        session_length=length_distance(real, learned, weights, level),
        return_gap=gap_distance(real, learned, weights, level),
        slices=(
            *rates_by_position(real, learned, schema, weights, level),
            *rates_by_history(real, learned, schema, primary, weights, level),
        ),
        two_sample=two_sample,
        baseline=baseline,
        share=None if baseline is None else _share(two_sample, baseline, level),
        control=real_against_real(features(real), real.user, seed, replicates, level),
        notes=_notes(found, kept, config),
    )


def _some_of(found: HeldOut, most: int, seed: int) -> HeldOut:
    n = found.real.n_sessions
    drawn = make_generator(seed, "sessions", device="numpy").permutation(n)[:most]
    return found.pick(np.sort(drawn))


def _baseline(
    fitted: FittedSimulator, log: InteractionLog, kept: HeldOut, config: FreeRunConfig, seed: int
) -> Traces | None:
    """The sessions of users by rates, taken from the rows up to the simulator's end of log."""
    if list(log.item_ids) != list(fitted.item_ids):
        return None
    before = log.frame.filter(pl.col("time_s") <= fitted.facts.end_time)
    if before["slate"].null_count() == before.height:
        return None
    plan = fitted.plan
    primary = plan.schema.names[plan.primary]
    rates = Rates.of(log.with_frame(before), primary, plan.gate is not None, fitted.config.session_gap_s)
    return play_others(RatesUsers(rates), kept, seed, config.max_steps)


def _share(two_sample: TwoSample, baseline: TwoSample, level: float) -> Interval:
    """Both tests resample the same users in the same way, so that the replicates are paired."""
    with np.errstate(invalid="ignore", divide="ignore"):
        replicates = two_sample.excess / baseline.excess
    return percentile_interval(float((two_sample.auc.mean - 0.5) / (baseline.auc.mean - 0.5)), replicates, level)


def _notes(found: HeldOut, kept: HeldOut, config: FreeRunConfig) -> tuple[str, ...]:
    notes = []
    if kept.real.n_sessions < found.real.n_sessions:
        notes.append(f"{kept.real.n_sessions:,} of {found.real.n_sessions:,} held-out sessions were simulated")
    if found.left_out:
        notes.append(f"{found.left_out:,} shown items that the simulator has no id for were not shown")
    long = int((kept.real.lengths > config.max_steps).sum())
    if long:
        notes.append(f"{long:,} real sessions were cut at {config.max_steps} steps")
    return tuple(notes)
