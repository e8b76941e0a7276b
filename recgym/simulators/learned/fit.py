"""From an interaction log to a fitted simulator."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from recgym.data.schema import InteractionLog
from recgym.seeding import child_seed, make_generator
from recgym.simulators.learned.calibration import bind_channels, calibrate_leaving, calibrate_responses
from recgym.simulators.learned.channels import ResponsePlan
from recgym.simulators.learned.config import LearnedConfig
from recgym.simulators.learned.context import CONTEXT_NAMES, ItemContext, ItemStream, size_rates
from recgym.simulators.learned.counts import POTENTIALS, start_potentials
from recgym.simulators.learned.features import FeatureEncoder
from recgym.simulators.learned.fitted import FitReport, FittedSimulator, SourceFacts
from recgym.simulators.learned.leaving import Ends
from recgym.simulators.learned.lengths import item_lengths
from recgym.simulators.learned.network import NetworkShape, ResponseNetwork
from recgym.simulators.learned.notes import notes
from recgym.simulators.learned.pace import Pace
from recgym.simulators.learned.passes import running_states
from recgym.simulators.learned.prepared import Prepared
from recgym.simulators.learned.rates import RateTables
from recgym.simulators.learned.refine import refine_leaving
from recgym.simulators.learned.returns import RANGES, Pauses, fit_returning, observed_pauses
from recgym.simulators.learned.sessions import LeaveLabels, SessionFacts, leave_labels, step_seconds
from recgym.simulators.learned.set_dynamics import Tail, bend
from recgym.simulators.learned.set_resample import resample_users
from recgym.simulators.learned.snapshots import take_snapshots
from recgym.simulators.learned.steps import Behaviour, ExposureSource, exposure_source, simulated_schema
from recgym.simulators.learned.training import Epoch, Progress, train

__all__ = ["Variation", "fit", "one_thread", "prepare", "validation_tail"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread, also as a decorator.

    The operations of a fit are small: more threads hardly speed them up, slow them down tenfold where another process
    wants the cores, and would let results depend on their number.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
class _Lesson:
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
        plan: ResponsePlan,
        users: FeatureEncoder,
        lengths: Float32[np.ndarray, "N_plus_1"],
        config: LearnedConfig,
    ) -> "_Lesson":
        source, primary = exposure_source(log), plan.schema.names[plan.primary]
        held_out = validation_tail(behaviour, log.time_unit, config.validation_fraction)
        rates = size_rates(log, source, primary)
        timed = log.time_unit == "s"
        context = ItemContext.start(ItemStream.of(log, source, primary, rates), log.n_items) if timed else None
        data = prepare(log, behaviour, users, context, np.arange(log.n_items), log.n_items, config.history, lengths)
        end_time = float(log.frame["time_s"].max())  # type: ignore[arg-type]
        sessions_known = timed and bool((behaviour.step_session >= 0).any())
        labels = leave_labels(behaviour, end_time if sessions_known else -np.inf, config.session_gap_s)
        pace = Pace.fit(behaviour, plan.primary, step_seconds(behaviour, 0.0)) if sessions_known else None
        sessions = replace(SessionFacts.of(behaviour, sessions_known, config.mean_session_steps), pace=pace)
        pauses = observed_pauses(behaviour, labels, step_seconds(behaviour, sessions.base_step_s), end_time)
        return cls(data, held_out, context, rates, labels, sessions_known, sessions, pauses)


@one_thread()
def fit(
    log: InteractionLog,
    config: LearnedConfig | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    variation: Variation | None = None,
) -> FittedSimulator:
    """Learn users from a log.

    The last part of the log in time (``config.validation_fraction``; of a log without times, of each user) is kept from
    training: it says when to stop and calibrates every logit.

    What the log lacks is handled as follows, and said in the report's notes.

    * No slates (ratings, purchases, plain sequences): nothing says what was passed over.
      For each consumption, ``config.negatives`` items are sampled as passed over, uniformly among those that the log
      has shown strictly before (among all of the log if it has no times). With times, the row in which an item is seen
      for the first time is history only: nothing could have been passed over in its favour. Whether an item is taken
      is then a channel of its own (one of the log that is always 1, else ``consumed``), and ratings are modelled
      given that it is. The level of that channel's rate is a matter of ``negatives``; only the order of items means
      something.
    * No times: no leave model, no pauses and no item context can be learned; sessions end with a fixed probability.

    Args:
        log: any log with at least two users or times.
        config: settings.
        seed: root seed; the same seed and log give the same simulator on the same machine.
        progress: called after each pass over the log.
        variation: how to depart from the plain fit; not at all if None.

    Raises:
        ValueError: the log has no feedback at all, no time to hold out, or a channel without any value.
    """
    config = config or LearnedConfig()
    source = exposure_source(log)
    imputing = make_generator(seed, "imputed exposures", device="numpy")
    behaviour = Behaviour.of(log, source, config.negatives, config.session_gap_s, imputing)
    if behaviour.taken_item.size == 0:
        raise ValueError(
            f"{log.source}: no row has any feedback, so there is nothing to learn; "
            "at least one click or other feedback was expected"
        )
    validation_tail(
        behaviour, log.time_unit, config.validation_fraction
    )  # says what is wrong before anything else does
    telling = behaviour.row_observed.any(1)
    lengths = item_lengths(log.item_features, log.n_items)
    plan = ResponsePlan.fit(
        behaviour.schema, behaviour.row_labels[telling], behaviour.row_observed[telling],
        lengths[behaviour.row_item[telling]], source is ExposureSource.SLATES and int(behaviour.step_size.max()) > 1,
    )  # fmt: skip
    users, items = FeatureEncoder.fit(log.user_features), FeatureEncoder.fit(log.item_features)
    whole = lesson = _Lesson.of(log, behaviour, plan, users, lengths, config)
    variation = variation or Variation()
    if variation.sample is not None:
        drawn = resample_users(log, variation.sample)
        acted = Behaviour.of(drawn, source, config.negatives, config.session_gap_s, imputing)
        lesson = _Lesson.of(drawn, acted, plan, users, lengths, config)
    network, epochs, states = _taught(log, lesson, plan, items, config, seed, progress)
    departures = []
    if variation.dynamics:
        tail = Tail.of(plan, whole.data, whole.labels, whole.held_out, seed)
        departures += [f"{name} bent by {amount:+.3f}" for name, amount in bend(network, tail.loss, seed).items()]
    if lesson is not whole or variation.dynamics:
        states = running_states(network, whole.data)
    last = log.frame.group_by("user").agg(pl.col("time_s").max()).sort("user")
    user_last = np.full(log.n_users, -np.inf)
    user_last[last["user"].to_numpy()] = last["time_s"].to_numpy()
    end_time = float(log.frame["time_s"].max())  # type: ignore[arg-type]
    # Whatever the seed: simulators of one log are to start from the same users.
    drawing = make_generator(0, "snapshots", device="numpy")
    return FittedSimulator(
        config=config,
        plan=plan,
        network=network,
        users=users,
        items=items,
        user_ids=log.user_ids,
        user_last=user_last,
        item_ids=log.item_ids,
        item_lengths=lengths,
        context=None if whole.context is None else whole.context.compacted(end_time),
        size_rates=whole.rates,
        rates=_rates(behaviour, plan, log.n_items),
        sessions=whole.sessions,
        snapshots=take_snapshots(whole.data, states[0], log.n_items, config.history, config.max_snapshots, drawing),
        facts=SourceFacts(
            log.source, log.time_unit, source, simulated_schema(log, source)[1], end_time,
            (int(behaviour.step_size.min()), int(behaviour.step_size.max())), int(behaviour.row_position.max()),
        ),
        report=FitReport(
            lesson.data.behaviour.row_item.size, lesson.data.behaviour.n_steps, epochs,
            (*notes(log, behaviour, source, config, whole.sessions_known), *departures), seed,
        ),
    )  # fmt: skip


def _taught(
    log: InteractionLog,
    lesson: _Lesson,
    plan: ResponsePlan,
    items: FeatureEncoder,
    config: LearnedConfig,
    seed: int,
    progress: Progress | None,
) -> tuple[ResponseNetwork, tuple[Epoch, ...], tuple[Tensor, Tensor]]:
    """A network that has learned, how that went, and its states before and after each exposure."""
    data, labels, held_out = lesson.data, lesson.labels, lesson.held_out
    gaps = RANGES if lesson.pauses.back.any() else 0
    network = _initial_network(log, config, plan, data, items, held_out, gaps, seed)
    epochs = train(network, plan, data, labels, held_out, config, seed, progress)
    states = running_states(network, data)
    ends = Ends.of(network, data, np.arange(data.behaviour.n_steps))
    refine_leaving(network, data, labels, held_out, states[1], ends, config, seed)
    calibrate_responses(network, plan, data, held_out, states[0])
    bind_channels(network, plan, data, states[0], make_generator(seed, "bonds"))
    calibrate_leaving(network, labels, held_out, states[1], ends)
    if gaps:
        fit_returning(network, lesson.pauses, states[1], ends, data.behaviour.step_user, config, seed)
    return network, epochs, states


def prepare(
    log: InteractionLog,
    behaviour: Behaviour,
    users: FeatureEncoder,
    context: ItemContext | None,
    network_id: Int64[np.ndarray, "items"],
    unknown: int,
    history: int,
    lengths: Float32[np.ndarray, "N_plus_1"] | None = None,
) -> Prepared:
    """Arrange what the network looks at.

    Args:
        log: the log.
        behaviour: the same as arrays.
        users: encoder of user features.
        context: what was known of the log's items, in the log's ids; None without times.
        network_id: the network's id of each of the log's items, negative if it does not know it.
        unknown: the network's id of unknown items.
        history: length of the window in which repeats are counted.
        lengths: length of each of the network's items in seconds, needed to explain what they were answered.
    """
    ids = torch.from_numpy(np.where(network_id < 0, unknown, network_id))
    row_item = ids[torch.from_numpy(behaviour.row_item)]
    time = behaviour.step_time[behaviour.row_step]
    raw = np.zeros((time.size, 0), dtype=np.float32) if context is None else context.at(behaviour.row_item, time)
    return Prepared(
        behaviour=behaviour,
        profile=torch.from_numpy(users.encode(log.user_features, log.n_users)),
        context=torch.from_numpy(raw),
        repeats=torch.from_numpy(behaviour.repeats(history)),
        row_item=row_item,
        taken_item=ids[torch.from_numpy(behaviour.taken_item)],
        row_length=torch.ones(row_item.shape) if lengths is None else torch.from_numpy(lengths)[row_item],
    )


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


def _initial_network(
    log: InteractionLog,
    config: LearnedConfig,
    plan: ResponsePlan,
    data: Prepared,
    items: FeatureEncoder,
    held_out: Bool[np.ndarray, "S"],
    gaps: int,
    seed: int,
) -> ResponseNetwork:
    """A network of the right shape that knows the scale of its inputs and which items it will get to know."""
    behaviour = data.behaviour
    table: Float32[np.ndarray, "N I"] = items.encode(log.item_features, log.n_items)
    shape = NetworkShape(
        items=log.n_items, channels=len(plan.schema), parameters=plan.width,
        potentials=POTENTIALS * plan.together, profile=data.profile.shape[1],
        item_features=table.shape[1], context=0 if data.context.shape[1] == 0 else len(CONTEXT_NAMES),
        hidden=config.hidden, item_width=config.item_width, dropout=config.dropout, rivals=log.has_slates, gaps=gaps,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: it would seed the generators of other devices too, which the fork does not give back.
        torch.default_generator.manual_seed(child_seed(seed, "weights"))
        largest = torch.from_numpy(np.abs(behaviour.taken_feedback).max(0, initial=0.0))
        network = ResponseNetwork(shape, plan.schema, torch.where(largest > 0, largest, 1.0))
    training = ~held_out[behaviour.row_step]
    labels, observed = torch.from_numpy(behaviour.row_labels), torch.from_numpy(behaviour.row_observed)
    rows = torch.from_numpy(training)
    with torch.no_grad():
        start = plan.marginal(labels[rows], observed[rows], data.row_length[rows])
        network.out.bias.copy_(start[: plan.width - shape.potentials])
        if plan.together:
            taken = (behaviour.row_labels[:, plan.primary] > 0) & behaviour.row_observed[:, plan.primary]
            numbers = np.bincount(behaviour.row_step, taken, behaviour.n_steps).astype(np.int64)[~held_out]
            potentials = start_potentials(behaviour.step_size[~held_out], numbers)
            network.potentials.copy_(torch.from_numpy(potentials).float())
    if shape.context:
        seen = data.context[rows & observed.any(1)]
        spread = seen.std(0, correction=0) if seen.shape[0] else torch.zeros(shape.context)
        network.context_mean.copy_(seen.mean(0).nan_to_num(0.0))
        # What never varied has taught nothing: an infinite scale leaves it out where it differs later.
        network.context_sd.copy_(torch.where(spread > 0, spread.clamp(min=0.05), torch.inf))
    counts = np.bincount(behaviour.row_item[training & behaviour.row_real], minlength=log.n_items)
    if log.has_slates:
        before = behaviour.taken_event < _training_end(behaviour, held_out)[behaviour.taken_event]
        counts = counts + np.bincount(behaviour.taken_item[before], minlength=log.n_items)
    network.known[:-1] = torch.from_numpy(counts >= config.min_item_rows)
    network.item_table[:-1] = torch.from_numpy(table)
    return network


def _training_end(behaviour: Behaviour, held_out: Bool[np.ndarray, "S"]) -> Int64[np.ndarray, "E"]:
    """For each event the end of its user's events that lead up to an exposure that is trained on."""
    users = behaviour.user_event_start.size - 1
    end = np.zeros(users, dtype=np.int64)
    np.maximum.at(end, behaviour.step_user[~held_out], behaviour.step_after[~held_out])
    return np.repeat(end, np.diff(behaviour.user_event_start))


def _rates(behaviour: Behaviour, plan: ResponsePlan, n_items: int) -> RateTables:
    labels, observed = torch.from_numpy(behaviour.row_labels), torch.from_numpy(behaviour.row_observed)
    open_ = plan.open(labels, observed).numpy()
    return RateTables.of(behaviour.row_item, behaviour.row_position, behaviour.row_labels, open_, n_items)
