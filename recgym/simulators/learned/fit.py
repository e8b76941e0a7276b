"""From an interaction log to a fitted simulator."""

import numpy as np
import polars as pl
import torch
from jaxtyping import Float64
from torch import Tensor

from recgym.data.schema import InteractionLog
from recgym.seeding import make_generator
from recgym.simulators.learned.calibration import bind_channels, calibrate_leaving, calibrate_responses
from recgym.simulators.learned.channels import ResponsePlan
from recgym.simulators.learned.config import LearnedConfig
from recgym.simulators.learned.fitted import FitReport, FittedSimulator, SourceFacts
from recgym.simulators.learned.initial import initial_network
from recgym.simulators.learned.leaving import Ends
from recgym.simulators.learned.lesson import Basis, Lesson, Variation, validation_tail
from recgym.simulators.learned.network import ResponseNetwork
from recgym.simulators.learned.notes import notes
from recgym.simulators.learned.passes import running_states
from recgym.simulators.learned.rates import RateTables
from recgym.simulators.learned.refine import refine_leaving
from recgym.simulators.learned.returns import fit_returning
from recgym.simulators.learned.set_dynamics import Tail, bend
from recgym.simulators.learned.set_resample import resample_users
from recgym.simulators.learned.snapshots import take_snapshots
from recgym.simulators.learned.steps import Behaviour, exposure_source, simulated_schema
from recgym.simulators.learned.threads import one_thread
from recgym.simulators.learned.training import Epoch, Progress, train

__all__ = ["fit"]


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
    config, variation = config or LearnedConfig(), variation or Variation()
    source = exposure_source(log)
    imputing = make_generator(seed, "imputed exposures", device="numpy")
    behaviour = Behaviour.of(log, source, config.negatives, config.session_gap_s, imputing)
    if behaviour.taken_item.size == 0:
        raise ValueError(
            f"{log.source}: no row has any feedback, so there is nothing to learn; "
            "at least one click or other feedback was expected"
        )
    validation_tail(behaviour, log.time_unit, config.validation_fraction)  # says what is wrong before others do
    basis = Basis.of(log, behaviour)
    whole = lesson = Lesson.of(log, behaviour, basis, config)
    if variation.sample is not None:
        drawn = resample_users(log, variation.sample)
        acted = Behaviour.of(drawn, source, config.negatives, config.session_gap_s, imputing)
        lesson = Lesson.of(drawn, acted, basis, config)
    network, epochs, states = _taught(log, lesson, basis, config, seed, progress)
    remarks = list(notes(log, behaviour, source, config, whole.sessions_known))
    if variation.dynamics:
        tail = Tail.of(basis.plan, whole.data, whole.labels, whole.held_out, seed)
        remarks += [f"{name} bent by {amount:+.3f}" for name, amount in bend(network, tail.loss, seed).items()]
    if lesson is not whole or variation.dynamics:
        states = running_states(network, whole.data)
    learned_from = lesson.data.behaviour
    report = FitReport(learned_from.row_item.size, learned_from.n_steps, epochs, tuple(remarks), seed)
    return _simulator(log, whole, basis, network, states[0], config, report)


def _taught(
    log: InteractionLog, lesson: Lesson, basis: Basis, config: LearnedConfig, seed: int, progress: Progress | None
) -> tuple[ResponseNetwork, tuple[Epoch, ...], tuple[Tensor, Tensor]]:
    """A network that has learned, how that went, and its states before and after each exposure."""
    plan, data, labels, held_out = basis.plan, lesson.data, lesson.labels, lesson.held_out
    network = initial_network(log, lesson, basis, config, seed)
    epochs = train(network, plan, data, labels, held_out, config, seed, progress)
    states = running_states(network, data)
    ends = Ends.of(network, data, np.arange(data.behaviour.n_steps))
    refine_leaving(network, data, labels, held_out, states[1], ends, config, seed)
    calibrate_responses(network, plan, data, held_out, states[0])
    bind_channels(network, plan, data, states[0], make_generator(seed, "bonds"))
    calibrate_leaving(network, labels, held_out, states[1], ends)
    if lesson.gaps:
        fit_returning(network, lesson.pauses, states[1], ends, data.behaviour.step_user, config, seed)
    return network, epochs, states


def _simulator(
    log: InteractionLog,
    lesson: Lesson,
    basis: Basis,
    network: ResponseNetwork,
    before: Tensor,
    config: LearnedConfig,
    report: FitReport,
) -> FittedSimulator:
    """All that was learned, put together; ``before`` are the states of the log's users before each exposure."""
    plan, data = basis.plan, lesson.data
    end_time = float(log.frame["time_s"].max())  # type: ignore[arg-type]
    # Whatever the seed: simulators of one log are to start from the same users.
    drawing = make_generator(0, "snapshots", device="numpy")
    return FittedSimulator(
        config=config,
        plan=plan,
        network=network,
        users=basis.users,
        items=basis.items,
        user_ids=log.user_ids,
        user_last=_last_times(log),
        item_ids=log.item_ids,
        item_lengths=basis.lengths,
        context=None if lesson.context is None else lesson.context.compacted(end_time),
        size_rates=lesson.rates,
        rates=_rates(data.behaviour, plan, log.n_items),
        sessions=lesson.sessions,
        snapshots=take_snapshots(data, before, log.n_items, config.history, config.max_snapshots, drawing),
        facts=_facts(log, data.behaviour, end_time),
        report=report,
    )


def _last_times(log: InteractionLog) -> Float64[np.ndarray, "U"]:
    """Time of each user's last row; minus infinity if there is none."""
    last = log.frame.group_by("user").agg(pl.col("time_s").max()).sort("user")
    times = np.full(log.n_users, -np.inf)
    times[last["user"].to_numpy()] = last["time_s"].to_numpy()
    return times


def _facts(log: InteractionLog, behaviour: Behaviour, end_time: float) -> SourceFacts:
    source, sizes = exposure_source(log), behaviour.step_size
    return SourceFacts(
        log.source, log.time_unit, source, simulated_schema(log, source)[1], end_time,
        (int(sizes.min()), int(sizes.max())), int(behaviour.row_position.max()),
    )  # fmt: skip


def _rates(behaviour: Behaviour, plan: ResponsePlan, n_items: int) -> RateTables:
    labels, observed = torch.from_numpy(behaviour.row_labels), torch.from_numpy(behaviour.row_observed)
    open_ = plan.open(labels, observed).numpy()
    return RateTables.of(behaviour.row_item, behaviour.row_position, behaviour.row_labels, open_, n_items)
