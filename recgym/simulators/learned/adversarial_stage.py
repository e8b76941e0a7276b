"""What stays as it is while sessions are played: the log, its sessions, and the simulator that play began with."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from recgym.data.schema import InteractionLog
from recgym.seeding import make_generator
from recgym.simulators.learned.adversarial_play import Clock, LoggedSessions, Sight, play
from recgym.simulators.learned.adversarial_steps import Likelihood, Steps, likelihood, real_steps
from recgym.simulators.learned.adversarial_views import View, view
from recgym.simulators.learned.context import ItemContext, ItemStream
from recgym.simulators.learned.fitted import FittedSimulator
from recgym.simulators.learned.leaving import Ends
from recgym.simulators.learned.lesson import validation_tail
from recgym.simulators.learned.network import ResponseNetwork
from recgym.simulators.learned.passes import running_states
from recgym.simulators.learned.prepared import Prepared, prepare
from recgym.simulators.learned.sessions import LeaveLabels, leave_labels
from recgym.simulators.learned.snapshots import take_snapshots
from recgym.simulators.learned.steps import Behaviour, ExposureSource

__all__ = ["Stage", "some"]

FEWEST_SESSIONS = 50


@dataclass(frozen=True)
class Stage:
    """All that stays as it is.

    Attributes:
        warm: the fitted simulator.
        data: the log.
        labels: which exposures ended a session.
        states: of users before and after each exposure.
        ends: what the leave head looks at, of all exposures.
        train: sessions to learn from.
        tail: sessions of the validation tail.
        clock: how long steps take.
        sight: what a log would hold of answers.
        max_steps: longest session.
    """

    warm: FittedSimulator
    data: Prepared
    labels: LeaveLabels
    states: tuple[Tensor, Tensor]
    ends: Ends
    train: LoggedSessions
    tail: LoggedSessions
    clock: Clock
    sight: Sight
    max_steps: int

    @classmethod
    def of(cls, fitted: FittedSimulator, log: InteractionLog, max_steps: int) -> "Stage":
        """Prepare the log that a simulator was fitted to.

        Raises:
            ValueError: see :func:`recgym.simulators.learned.adversarial.refine_adversarially`.
        """
        _check_log(fitted, log)
        unused = make_generator(0, "slates need no imputing", device="numpy")
        behaviour = Behaviour.of(
            log, ExposureSource.SLATES, fitted.config.negatives, fitted.config.session_gap_s, unused
        )
        primary = fitted.schema.names[fitted.plan.primary]
        stream = ItemStream.of(log, ExposureSource.SLATES, primary, fitted.size_rates)
        data = prepare(
            log, behaviour, fitted.users, ItemContext.start(stream, log.n_items), np.arange(log.n_items), log.n_items,
            fitted.config.history, fitted.item_lengths,
        )  # fmt: skip
        labels = leave_labels(behaviour, fitted.facts.end_time, fitted.config.session_gap_s)
        states = running_states(fitted.network, data)
        with torch.no_grad():
            ends = Ends.of(fitted.network, data, np.arange(behaviour.n_steps))
        held_out = validation_tail(behaviour, log.time_unit, fitted.config.validation_fraction)
        starts = take_snapshots(
            data, states[0], log.n_items, fitted.config.history, behaviour.n_steps, unused
        )  # all of them
        train, tail = (LoggedSessions.of(data, labels, part, starts) for part in (~held_out, held_out))
        for name, part in (("training part", train), ("validation tail", tail)):
            if len(part) < FEWEST_SESSIONS:
                raise ValueError(
                    f"{log.source}: the {name} has {len(part)} whole sessions, at least {FEWEST_SESSIONS} were expected"
                )
        return cls(
            fitted, data, labels, states, ends, train, tail, Clock.of(data, fitted.sessions.base_step_s),
            Sight.of(data, ~held_out), max_steps,
        )  # fmt: skip

    def real(self, logged: LoggedSessions, sessions: Int64[np.ndarray, "n"]) -> Steps:
        """The real steps of some sessions."""
        exposures, session = logged.real(sessions, self.max_steps)
        return real_steps(self.data, self.labels, self.ends, self.states, exposures, session)

    def played(
        self, network: ResponseNetwork, logged: LoggedSessions, sessions: Int64[np.ndarray, "n"], seed: int, block: int
    ) -> Steps:
        """The same sessions as the network plays them."""
        generators = make_generator(seed, "played", block), make_generator(seed, "slates", block, device="numpy")
        return play(
            network, self.warm.plan, self.data, logged, sessions, self.clock, self.sight, generators, self.max_steps
        )

    def view(self, steps: Steps) -> View:
        """What can be seen of steps."""
        return view(self.warm.network, self.warm.plan, self.data, steps)

    def ask(self, network: ResponseNetwork, steps: Steps) -> Likelihood:
        """How likely steps are."""
        return likelihood(network, self.warm.plan, self.data, steps)


def _check_log(fitted: FittedSimulator, log: InteractionLog) -> None:
    if fitted.facts.exposures is not ExposureSource.SLATES or fitted.context is None:
        raise ValueError(
            f"{log.source}: sessions can be played only where the log has slates and times, to show the slates again; "
            f"exposures of this one are {fitted.facts.exposures.value!r}, times in {fitted.facts.time_unit!r}"
        )
    end = float(log.frame["time_s"].max())  # type: ignore[arg-type]
    if end != fitted.facts.end_time or not log.item_ids.equals(fitted.item_ids):
        raise ValueError(
            f"{log.source}: the log that the simulator was fitted to was expected, with {fitted.n_items} items and "
            f"until {fitted.facts.end_time:.0f} s; found {log.n_items} items, until {end:.0f} s"
        )


def some(n: int, most: int, generator: np.random.Generator) -> Int64[np.ndarray, "m"]:
    """At most so many of ``0..n-1``, without order."""
    return np.sort(generator.permutation(n)[:most])
