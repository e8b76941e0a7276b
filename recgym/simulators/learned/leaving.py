"""The leave and return heads along whole sessions of a log: tempers, what steps brought, and running means of that."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from recgym.simulators.learned.network import ResponseNetwork
from recgym.simulators.learned.prepared import Prepared

__all__ = ["Ends", "Runs"]


@dataclass(frozen=True)
class Runs:
    """Some exposures by session: the exposures of a session that are among them follow each other.

    Attributes:
        order: the exposures, sorted by session and within it by time.
        depth: how many exposures of the same session come before each, in that order.
    """

    order: Int64[Tensor, "s"]
    depth: Int64[Tensor, "s"]

    @classmethod
    def of(cls, session: Int64[np.ndarray, "s"]) -> "Runs":
        """Of exposures in the order of time with these sessions; each one whose session is unknown (-1) is alone."""
        order = np.argsort(session, kind="stable")
        by_session = session[order]
        fresh = (np.diff(by_session, prepend=-2) != 0) | (by_session < 0)
        at = np.arange(session.size)
        return cls(torch.from_numpy(order), torch.from_numpy(at - np.maximum.accumulate(np.where(fresh, at, 0))))

    def fading_sum(self, values: Float32[Tensor, "s *rest"], kept: Tensor | float) -> Float32[Tensor, "s *rest"]:
        """For each exposure the sum over its session so far, in which a value fades by ``kept`` at each step.

        That is ``q_t = kept * q_{t-1} + values_t``, in as many rounds as the longest session has binary digits: after
        a round each sum covers twice as many steps.
        """
        total = values[self.order]
        power = torch.as_tensor(kept, dtype=values.dtype)
        depth = self.depth.reshape(-1, *[1] * (values.ndim - 1))
        longest, reach = int(self.depth.max()) if self.depth.numel() else 0, 1
        while reach <= longest:
            before = torch.cat([torch.zeros_like(total[:reach]), total[:-reach]])
            total = total + torch.where(depth >= reach, power * before, 0.0)
            power, reach = power * power, 2 * reach
        return torch.zeros_like(total).index_copy(0, self.order, total)


@dataclass(frozen=True)
class Ends:
    """What the leave and return heads look at beside the user state, of some exposures.

    Attributes:
        steps: the exposures; those of one session are all there, or the first of them are missing.
        sessions: the session of each, -1 if unknown.
        profile: features of their users.
        summary: what each brought.
        number: how many exposures the session has had.
        minutes: since its first.
    """

    steps: Int64[np.ndarray, "s"]
    sessions: Int64[np.ndarray, "s"]
    profile: Float32[Tensor, "s P"]
    summary: Float32[Tensor, "s two_F_plus_2"]
    number: Float32[Tensor, "s"]
    minutes: Float32[Tensor, "s"]

    @classmethod
    def of(cls, network: ResponseNetwork, data: Prepared, steps: Int64[np.ndarray, "s"]) -> "Ends":
        """Of these exposures, in the order of time; only the scale of feedback is taken from the network."""
        behaviour = data.behaviour
        return cls(
            steps, behaviour.step_session[steps], data.profiles(steps),
            _summaries(network, data, steps),
            torch.from_numpy(behaviour.step_index[steps] + 1).float(),
            torch.from_numpy(behaviour.step_elapsed[steps] / 60).float(),
        )  # fmt: skip

    def pick(self, index: Int64[np.ndarray, "n"]) -> "Ends":
        """Some of them: whole sessions."""
        at = torch.from_numpy(index)
        return Ends(
            self.steps[index], self.sessions[index], self.profile[at], self.summary[at], self.number[at],
            self.minutes[at],
        )  # fmt: skip

    def temper(self, network: ResponseNetwork) -> Float32[Tensor, "s"]:
        """The temper after each exposure."""
        return Runs.of(self.sessions).fading_sum(network.mood(self.summary), network.kept)

    def leave(self, network: ResponseNetwork, after: Float32[Tensor, "s H"]) -> Float32[Tensor, "s"]:
        """Logit that the session ends after each exposure, given the user state after it."""
        return network.leave(after, self.profile, self.summary, self.number, self.minutes, self.temper(network))


def _summaries(network: ResponseNetwork, data: Prepared, steps: Int64[np.ndarray, "s"]) -> Tensor:
    """What each step brought; blank where exposures are imputed, as every step would look alike."""
    behaviour, log_size = data.behaviour, data.log_sizes(steps)
    channels = len(behaviour.schema)
    if not behaviour.row_real.all():
        blank = torch.zeros(steps.size, channels)
        return network.summary(blank, blank, torch.zeros(steps.size), log_size)
    owner = data.owner(steps)
    feedback = torch.from_numpy(behaviour.row_labels[behaviour.rows_of(steps)])
    scaled = network.scale(feedback)
    counts = torch.zeros(steps.size).index_add(0, owner, torch.ones(owner.shape[0]))
    mean = torch.zeros(steps.size, channels).index_add(0, owner, scaled) / counts[:, None]
    top = torch.zeros(steps.size, channels).scatter_reduce(
        0, owner[:, None].expand_as(scaled), scaled, "amax", include_self=False
    )
    taken = torch.zeros(steps.size).index_add(0, owner, (feedback != 0).any(-1).float())
    return network.summary(mean, top, taken, log_size)
