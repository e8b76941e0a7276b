"""What a discriminator sees of sessions, and how well held-out sessions can be told from played ones."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

from recgym.simulators.learned.adversarial_steps import Steps, likelihood
from recgym.simulators.learned.channels import ResponsePlan
from recgym.simulators.learned.network import ResponseNetwork
from recgym.simulators.learned.prepared import Prepared
from recgym.stats import auc

__all__ = ["View", "padded", "tell_apart", "view"]

_PENALTY = 10.0


class View(NamedTuple):
    """What can be seen of steps, in the order in which it comes to be.

    Attributes:
        begin: log number of the step, log slate size, rate of the primary feedback that the warm start expects.
        answers: mean and largest scaled feedback of each channel, log(1 + items answered); of these items, against all
            of the slate: score by the warm start and place.
        end: whether the session ended.
        session: the session of each step.
        depth: steps of the session before it.
    """

    begin: Float32[Tensor, "s X"]
    answers: Float32[Tensor, "s Y"]
    end: Float32[Tensor, "s Z"]
    session: Int64[Tensor, "s"]
    depth: Int64[Tensor, "s"]

    @property
    def sizes(self) -> tuple[int, int, int]:
        """How many columns each part has."""
        return self.begin.shape[1], self.answers.shape[1], self.end.shape[1]

    def all(self) -> Float32[Tensor, "s X_plus_Y_plus_Z"]:
        """All that is seen."""
        return torch.cat([self.begin, self.answers, self.end], 1)


@torch.no_grad()
def view(warm: ResponseNetwork, plan: ResponsePlan, data: Prepared, steps: Steps) -> View:
    """Look at steps through the eyes of the network that play began with, at what a log would hold of them.

    Users are seen only by what it expects of them: a discriminator that knew them one by one would learn by heart how
    their real sessions went. Times are not seen, nor what depends on them, such as its chance of leaving: how long a
    step takes is not drawn by the network, so that nothing could be learned from them.
    """
    said = likelihood(warm, plan, data, steps)
    owner, shown = steps.shown.owner, steps.shown
    answers = steps.answers * steps.seen
    scaled = warm.scale(answers)
    taken = (answers != 0).any(1)
    count = torch.bincount(owner[taken], minlength=len(steps)).float()
    chance = plan.positive(plan.slates.alone_rows(said.parameters, owner))[plan.primary]
    score = torch.logit(chance.clamp(1e-4, 1 - 1e-4))
    place = torch.from_numpy(data.behaviour.row_position)[shown.rows].float() / 10

    def of_taken(values: Float32[Tensor, "r"]) -> Float32[Tensor, "s"]:
        total = torch.zeros(len(steps)).index_add(0, owner[taken], values[taken])
        return torch.where(count > 0, total / count.clamp(min=1) - shown.mean(values), 0.0)

    begin = [steps.ends.number.log(), shown.log_size, shown.mean(chance)]
    about = [count.log1p(), of_taken(score), of_taken(place)]
    return View(
        torch.stack(begin, 1),
        torch.cat([shown.mean(scaled), shown.largest(scaled), torch.stack(about, 1)], 1),
        steps.left[:, None],
        steps.session, steps.depth,
    )  # fmt: skip


def padded(
    values: Float32[Tensor, "s X"], session: Int64[Tensor, "s"], depth: Int64[Tensor, "s"]
) -> Float32[Tensor, "n L X"]:
    """One row a session, zeros behind its last step."""
    sessions, longest = int(session.max()) + 1, int(depth.max()) + 1
    out = torch.zeros(sessions, longest, values.shape[1])
    out[session, depth] = values
    return out


def _of_sessions(seen: View) -> Float64[np.ndarray, "n X"]:
    """Each session in one row: its log length, and of what is seen mean, spread, first and last."""
    values = seen.all().double()
    n = int(seen.session.max()) + 1
    length = torch.bincount(seen.session, minlength=n).double()

    def mean(of: Tensor) -> Tensor:
        return torch.zeros(n, of.shape[1], dtype=torch.float64).index_add(0, seen.session, of) / length[:, None]

    middle = mean(values)
    spread = mean((values - middle[seen.session]).square()).sqrt()
    first = torch.cumsum(length, 0).long() - length.long()
    last = torch.cumsum(length, 0).long() - 1
    return torch.cat([length.log()[:, None], middle, spread, values[first], values[last]], 1).numpy()


def tell_apart(known: tuple[View, View], new: tuple[View, View]) -> float:
    """AUC with which a classifier that has learned from some sessions tells others: 0.5 says that it cannot.

    The classifier is a logistic regression on a description of whole sessions and its squares, and does not depend on
    the discriminator that play is trained with.

    Args:
        known: real and played sessions to learn from.
        new: real and played sessions to tell.
    """
    learn, told = ([_of_sessions(seen) for seen in pair] for pair in (known, new))
    train, test = np.concatenate(learn), np.concatenate(told)
    mean, sd = train.mean(0), train.std(0)
    columns = sd > 1e-6

    def design(x: np.ndarray) -> np.ndarray:
        z = np.clip((x[:, columns] - mean[columns]) / sd[columns], -5, 5)
        return np.column_stack([np.ones(x.shape[0]), z, z**2 - 1])

    weights = _logistic(design(train), np.arange(train.shape[0]) >= learn[0].shape[0])
    return auc(design(test) @ weights, np.arange(test.shape[0]) >= told[0].shape[0])


def _logistic(x: Float64[np.ndarray, "n X"], label: Bool[np.ndarray, "n"], steps: int = 20) -> np.ndarray:
    """Weights that minimise log-loss + penalty / 2 |w|^2, by Newton's method; the first column is the intercept."""
    ridge = np.full(x.shape[1], _PENALTY)
    ridge[0] = 1e-9
    weights = np.zeros(x.shape[1])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        gradient = x.T @ (p - label) + ridge * weights
        curvature = (x * (p * (1 - p))[:, None]).T @ x + np.diag(ridge)
        move = np.linalg.solve(curvature, gradient)
        weights = weights - move
        if np.abs(move).max() < 1e-6:
            break
    return weights
