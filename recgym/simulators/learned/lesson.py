"""A log as a network is taught from it, and what is learned of it without a network."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Int64

from recgym.data.features import FeatureEncoder
from recgym.data.schema import InteractionLog
from recgym.simulators.learned.channels import ResponsePlan
from recgym.simulators.learned.config import LearnedConfig
from recgym.simulators.learned.context import ItemContext, ItemStream, size_rates
from recgym.simulators.learned.lengths import item_lengths
from recgym.simulators.learned.pace import Pace
from recgym.simulators.learned.prepared import Prepared, prepare
from recgym.simulators.learned.returns import RANGES, Pauses, observed_pauses
from recgym.simulators.learned.sessions import LeaveLabels, SessionFacts, leave_labels, step_seconds
from recgym.simulators.learned.steps import Behaviour, ExposureSource, exposure_source

__all__ = ["Basis", "Lesson", "Variation", "validation_tail"]


@dataclass(frozen=True)
class Variation:
    """How a simulator departs from the plain fit, as a member of a set.

    Attributes:
        sample: users drawn with replacement, to teach the network from them only; all users once if None. What does
            not depend on the network (encoders, heads, logged users, what is known of items) is of the whole log.
        dynamics: whether its dynamics are drawn within what the validation tail leaves open; see
            :func:`recgym.simulators.learned.set_dynamics.bend`.
    """

    sample: Int64[np.ndarray, "draws"] | None = None
    dynamics: bool = False


@dataclass(frozen=True)
class Basis:
    """What is learned of a log without a network.

    Attributes:
        plan: the heads of the feedback channels.
        users: encoder of user features.
        items: encoder of item features.
        lengths: see :func:`recgym.simulators.learned.lengths.item_lengths`.
    """

    plan: ResponsePlan
    users: FeatureEncoder
    items: FeatureEncoder
    lengths: Float32[np.ndarray, "N_plus_1"]

    @classmethod
    def of(cls, log: InteractionLog, behaviour: Behaviour) -> "Basis":
        """Learn it from a log.

        Args:
            log: the log.
            behaviour: the same as arrays.

        Raises:
            ValueError: a feedback channel has no value in the log.
        """
        telling = behaviour.row_observed.any(1)
        lengths = item_lengths(log.item_features, log.n_items)
        together = exposure_source(log) is ExposureSource.SLATES and int(behaviour.step_size.max()) > 1
        plan = ResponsePlan.fit(
            behaviour.schema, behaviour.row_labels[telling], behaviour.row_observed[telling],
            lengths[behaviour.row_item[telling]], together,
        )  # fmt: skip
        return cls(plan, FeatureEncoder.fit(log.user_features), FeatureEncoder.fit(log.item_features), lengths)


@dataclass(frozen=True)
class Lesson:
    """A log as a network is taught from it.

    Attributes:
        data: the log with everything that the network looks at.
        held_out: exposures of the validation tail.
        context: what was known of the items; None without times.
        rates: rate of the primary feedback by slate size.
        labels: which exposures ended a session.
        sessions_known: whether the log can tell that.
        sessions: the clock.
        pauses: the time after each session.
    """

    data: Prepared
    held_out: Bool[np.ndarray, "S"]
    context: ItemContext | None
    rates: Float32[np.ndarray, "sizes"]
    labels: LeaveLabels
    sessions_known: bool
    sessions: SessionFacts
    pauses: Pauses

    @classmethod
    def of(
        cls,
        log: InteractionLog,
        behaviour: Behaviour,
        basis: Basis,
        config: LearnedConfig,
    ) -> "Lesson":
        """Arrange a log.

        Args:
            log: the log.
            behaviour: the same as arrays.
            basis: what is known without a network, of this log or of the one that it was drawn from.
            config: settings.

        Raises:
            ValueError: see :func:`validation_tail`.
        """
        plan, source = basis.plan, exposure_source(log)
        primary = plan.schema.names[plan.primary]
        held_out = validation_tail(behaviour, log.time_unit, config.validation_fraction)
        rates = size_rates(log, source, primary)
        timed = log.time_unit == "s"
        context = ItemContext.start(ItemStream.of(log, source, primary, rates), log.n_items) if timed else None
        data = prepare(
            log, behaviour, basis.users, context, np.arange(log.n_items), log.n_items, config.history, basis.lengths
        )
        end_time = float(log.frame["time_s"].max())  # type: ignore[arg-type]
        sessions_known = timed and bool((behaviour.step_session >= 0).any())
        labels = leave_labels(behaviour, end_time if sessions_known else -np.inf, config.session_gap_s)
        pace = Pace.fit(behaviour, plan.primary, step_seconds(behaviour, 0.0)) if sessions_known else None
        sessions = replace(SessionFacts.of(behaviour, sessions_known, config.mean_session_steps), pace=pace)
        pauses = observed_pauses(behaviour, labels, step_seconds(behaviour, sessions.base_step_s), end_time)
        return cls(data, held_out, context, rates, labels, sessions_known, sessions, pauses)

    @property
    def gaps(self) -> int:
        """Ranges of the pause after a session that can be told apart; 0 if nobody was seen to come back."""
        return RANGES if self.pauses.back.any() else 0


def validation_tail(behaviour: Behaviour, time_unit: str, fraction: float) -> Bool[np.ndarray, "S"]:
    """The exposures that are kept from training: the last ones in time, or without times the last ones of each user.

    Args:
        behaviour: the log as arrays.
        time_unit: of the log.
        fraction: share of the exposures.

    Raises:
        ValueError: there is nothing to hold out, or nothing would be left.
    """
    if time_unit == "s":
        time = behaviour.step_time
        mask: np.ndarray = time > np.quantile(time, 1 - fraction)
    else:
        count = np.bincount(behaviour.step_user, minlength=1)[behaviour.step_user]
        start = np.searchsorted(behaviour.step_user, behaviour.step_user)
        mask = np.arange(count.size) - start >= np.ceil(count * (1 - fraction))
    if not mask.any() or mask.all():
        raise ValueError(
            f"the log is too short to hold out a validation tail of {fraction:.0%}: found {behaviour.n_steps} exposures"
            " that do not spread in time"
        )
    return mask
