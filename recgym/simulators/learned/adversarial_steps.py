"""Steps of sessions, real or played, with all that it takes to say how likely they were."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as nnf
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from recgym.simulators.learned.channels import ResponsePlan
from recgym.simulators.learned.leaving import Ends
from recgym.simulators.learned.network import ResponseNetwork
from recgym.simulators.learned.prepared import Prepared
from recgym.simulators.learned.sessions import LeaveLabels

__all__ = ["Likelihood", "Shown", "Steps", "answer_parameters", "likelihood", "real_steps"]


@dataclass(frozen=True)
class Shown:
    """What some steps show: slates of the log, with the items as they were when the log showed them.

    Attributes:
        rows: the rows of the slates in the log.
        owner: the step that each row belongs to.
        log_size: logarithm of the slates' sizes.
    """

    rows: Int64[Tensor, "r"]
    owner: Int64[Tensor, "r"]
    log_size: Float32[Tensor, "s"]

    @classmethod
    def of(cls, data: Prepared, exposures: Int64[np.ndarray, "s"]) -> "Shown":
        """The slates of these exposures; one may be named more than once."""
        rows = torch.from_numpy(data.behaviour.rows_of(exposures))
        return cls(rows, data.owner(exposures), data.log_sizes(exposures))

    def mean(self, values: Float32[Tensor, "r *rest"]) -> Float32[Tensor, "s *rest"]:
        """Mean over the rows of each slate."""
        steps = self.log_size.shape[0]
        counts = torch.bincount(self.owner, minlength=steps).reshape(-1, *[1] * (values.ndim - 1))
        return torch.zeros(steps, *values.shape[1:]).index_add(0, self.owner, values) / counts

    def largest(self, values: Float32[Tensor, "r X"]) -> Float32[Tensor, "s X"]:
        """Largest value among the rows of each slate."""
        out = torch.zeros(self.log_size.shape[0], values.shape[1])
        return out.scatter_reduce(0, self.owner[:, None].expand_as(values), values, "amax", include_self=False)


@dataclass(frozen=True)
class Steps:
    """Steps of sessions, those of a session together and in order.

    Attributes:
        session: the session of each step, counted from 0.
        shown: what each showed.
        before: state of the user before it.
        after: and after it.
        ends: what the leave head looks at.
        repeats: how often the user took each row's item lately.
        answers: the feedback to each row.
        counted: which of these the response heads are to explain: observed ones.
        seen: which of these a log would hold.
        left: 1 where the session ended with the step.
    """

    session: Int64[Tensor, "s"]
    shown: Shown
    before: Float32[Tensor, "s H"]
    after: Float32[Tensor, "s H"]
    ends: Ends
    repeats: Float32[Tensor, "r"]
    answers: Float32[Tensor, "r F"]
    counted: Bool[Tensor, "r F"]
    seen: Bool[Tensor, "r F"]
    left: Float32[Tensor, "s"]

    def __len__(self) -> int:
        return int(self.session.shape[0])

    @property
    def depth(self) -> Int64[Tensor, "s"]:
        """Steps of the session before each step."""
        return self.ends.number.long() - 1


def answer_parameters(
    network: ResponseNetwork,
    data: Prepared,
    shown: Shown,
    before: Float32[Tensor, "s H"],
    profile: Float32[Tensor, "s P"],
    repeats: Float32[Tensor, "r"],
) -> Float32[Tensor, "r W"]:
    """Parameters of the response heads of each row shown to users who need not be those to whom the log showed it."""
    part, interest = network.step_part(before, profile, shown.log_size)
    vectors = network.item_vectors(data.row_item[shown.rows])
    item = network.item_part(vectors, network.context(data.context[shown.rows]))
    part = network.compete(part, shown.mean(item))
    position = torch.from_numpy(data.behaviour.row_position)[shown.rows]
    owner = shown.owner
    return network.respond(part[owner], interest[owner], item, vectors, repeats, position)


@dataclass(frozen=True)
class Likelihood:
    """What a network says of steps.

    Attributes:
        parameters: of the response heads of each row.
        leave: logit that the session ends with each step.
        chance: logarithm of the chance (of amounts the density) of each step's answers.
        answers: the same, negative and with amounts weighted as in the fit.
        leaving: negative logarithm of the chance of leaving or staying.
    """

    parameters: Float32[Tensor, "r W"]
    leave: Float32[Tensor, "s"]
    chance: Float32[Tensor, "s"]
    answers: Float32[Tensor, "s"]
    leaving: Float32[Tensor, "s"]


def likelihood(network: ResponseNetwork, plan: ResponsePlan, data: Prepared, steps: Steps) -> Likelihood:
    """Ask a network about steps; differentiable in all of its weights but those that the states come from."""
    shown, profile = steps.shown, steps.ends.profile
    parameters = answer_parameters(network, data, shown, steps.before, profile, steps.repeats)
    lengths = data.row_length[shown.rows]
    weighted = plan.nll(parameters, steps.answers, steps.counted, lengths)
    numbers = plan.numbers(steps.answers, lengths)
    plain = [head.nll(part, x) for head, part, x in zip(plan.heads, plan.split(parameters), numbers, strict=True)]
    losses = torch.where(plan.modelled(steps.answers, steps.counted), torch.stack(plain, 1), 0.0)
    leave = steps.ends.leave(network, steps.after)
    leaving = nnf.binary_cross_entropy_with_logits(leave, steps.left, reduction="none")

    def of_step(rows: Float32[Tensor, "r F"]) -> Float32[Tensor, "s"]:
        return torch.zeros(len(steps)).index_add(0, shown.owner, rows.sum(1))

    counts = plan.slates.count_nll(parameters, steps.answers, steps.counted, shown.owner, len(steps))
    return Likelihood(parameters, leave, -of_step(losses) - counts, of_step(weighted) + counts, leaving)


def real_steps(
    data: Prepared,
    labels: LeaveLabels,
    every: Ends,
    states: tuple[Tensor, Tensor],
    exposures: Int64[np.ndarray, "s"],
    session: Int64[np.ndarray, "s"],
) -> Steps:
    """Steps of a log.

    Args:
        data: the log.
        labels: which exposures ended a session.
        every: what the leave head looks at, of all exposures.
        states: of the users before and after every exposure.
        exposures: which steps.
        session: the session of each, counted from 0.
    """
    shown, at = Shown.of(data, exposures), torch.from_numpy(exposures)
    rows = shown.rows
    observed = torch.from_numpy(data.behaviour.row_observed)[rows]
    return Steps(
        session=torch.from_numpy(session), shown=shown, before=states[0][at], after=states[1][at],
        ends=every.pick(exposures), repeats=data.repeats[rows],
        answers=torch.from_numpy(data.behaviour.row_labels)[rows], counted=observed, seen=observed,
        left=torch.from_numpy(labels.last[exposures]).float(),
    )  # fmt: skip
