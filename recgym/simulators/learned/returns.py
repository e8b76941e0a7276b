"""When users come back: hazards of the pause between sessions, learned in discrete time with its censored end.

The pause runs from the end of a session (the time of its last step and what that took) to the next session's first
step. It is cut into ranges on a logarithmic scale; the network gives each range the chance that the user comes back
within it, given that it was not sooner. A pause that the end of the log cuts short (each user's last session) tells
that the user did not come back so far, and no more. Beyond the longest time
that the log can tell of, nobody comes back.
Source: discrete-time survival, as in Gensheimer & Narasimhan, Nnet-survival (arXiv 1805.00917).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as nnf
from jaxtyping import Bool, Float32, Float64, Int64
from torch import Tensor

from recgym.arrays import uniform
from recgym.seeding import make_generator
from recgym.simulators.learned.config import LearnedConfig
from recgym.simulators.learned.leaving import Ends, Runs
from recgym.simulators.learned.network import ResponseNetwork
from recgym.simulators.learned.sessions import LeaveLabels
from recgym.simulators.learned.steps import Behaviour
from recgym.types import Generator

__all__ = ["RANGES", "Pauses", "draw_pause", "fit_returning", "observed_pauses", "session_ends"]

RANGES = 24
_FEWEST = 50
_BATCH, _ROUNDS, _CHECK, _PATIENCE = 512, 30, 50, 3
_DECAY = 1e-2


@dataclass(frozen=True)
class Pauses:
    """The time after each session of a log.

    Attributes:
        steps: last exposure of each session.
        seconds: until the next session of the user, or until the end of the log.
        back: whether the user came back before that.
    """

    steps: Int64[np.ndarray, "sessions"]
    seconds: Float64[np.ndarray, "sessions"]
    back: Bool[np.ndarray, "sessions"]


def observed_pauses(
    behaviour: Behaviour, labels: LeaveLabels, spent_s: Float64[np.ndarray, "S"], end_time: float
) -> Pauses:
    """Read the pauses off a log.

    Args:
        behaviour: the log.
        labels: which exposures ended a session.
        spent_s: how long each exposure's step took.
        end_time: end of the log.
    """
    steps = np.flatnonzero(labels.last & labels.known)
    following = np.minimum(steps + 1, behaviour.n_steps - 1)
    back = (following > steps) & (behaviour.step_user[following] == behaviour.step_user[steps])
    until = np.where(back, behaviour.step_time[following], end_time)
    seconds = np.maximum(until - behaviour.step_time[steps] - spent_s[steps], 1.0)
    return Pauses(steps, seconds, back)


def session_ends(ends: Ends, network: ResponseNetwork) -> tuple[Tensor, ...]:
    """What the return head looks at beside state and profile, as if the session ended at each exposure."""
    runs = Runs.of(ends.sessions)
    mean = runs.fading_sum(ends.summary, 1.0) / ends.number[:, None]
    return mean, ends.number, ends.minutes, ends.temper(network)


def _edges(pauses: Pauses) -> Float64[np.ndarray, "ranges_plus_1"]:
    """Ranges from the shortest pause to the longest time that some user was waited for."""
    low, high = max(float(pauses.seconds[pauses.back].min()), 1.0), float(pauses.seconds.max())
    return np.geomspace(low, max(high, 2 * low), RANGES + 1)


def _told(
    pauses: Pauses, edges: Float64[np.ndarray, "ranges_plus_1"]
) -> tuple[Float32[Tensor, "sessions ranges"], Float32[Tensor, "sessions ranges"]]:
    """How much of each range each pause tells, and in which one the user came back.

    A range that the user was waited for through, or came back in, counts 1. A wait that is cut short within a range
    counts as far as it went on the logarithmic scale.
    """
    place = np.clip(np.searchsorted(edges, pauses.seconds, side="right") - 1, 0, RANGES - 1)
    far = np.log(pauses.seconds / edges[place]) / np.log(edges[place + 1] / edges[place])
    grid = np.arange(RANGES)[None]
    here = grid == place[:, None]
    came = here & pauses.back[:, None]
    told = (grid < place[:, None]) + here * np.where(pauses.back, 1.0, np.clip(far, 0.0, 1.0))[:, None]
    return torch.from_numpy(told).float(), torch.from_numpy(came).float()


def fit_returning(
    network: ResponseNetwork,
    pauses: Pauses,
    after: Float32[Tensor, "S H"],
    ends: Ends,
    user: Int64[np.ndarray, "S"],
    config: LearnedConfig,
    seed: int,
) -> None:
    """Train the return head in place; it starts at the log's overall hazards (Kaplan and Meier's).

    A tenth of the users stops training: the tail of the log would only know short pauses.

    Args:
        network: trained, in evaluation mode.
        pauses: what is to be explained.
        after: state of the user after each exposure.
        ends: all exposures.
        user: user of each exposure.
        config: settings.
        seed: root seed.
    """
    edges = _edges(pauses)
    network.gap_edges.copy_(torch.from_numpy(edges))
    told, came = _told(pauses, edges)
    index = torch.from_numpy(pauses.steps)
    with torch.no_grad():
        mean, number, minutes, temper = (part[index] for part in session_ends(ends, network))
        hazard = (came.sum(0) + 0.5) / (told.sum(0) + 1.0)
        network.return_out.bias.copy_(torch.logit(hazard.clamp(1e-4, 1 - 1e-4)))
    inputs = (after[index], ends.profile[index], mean, number, minutes, temper)
    generator = make_generator(seed, "coming back", device="numpy")
    held = generator.random(int(user.max()) + 1)[user[pauses.steps]] < 0.1
    training, testing = np.flatnonzero(~held), np.flatnonzero(held)
    if int(pauses.back[training].sum()) < _FEWEST or not testing.size:
        return
    layers = [network.return_in, network.return_out]
    weights = [p for layer in layers for p in layer.parameters()]
    optimiser = torch.optim.AdamW(weights, lr=config.learning_rate / 3, weight_decay=_DECAY)

    def loss_of(rows: Int64[np.ndarray, "n"]) -> Tensor:
        at = torch.from_numpy(rows)
        logits = network.coming_back(*(part[at] for part in inputs))
        losses = nnf.binary_cross_entropy_with_logits(logits, came[at], reduction="none")
        return (losses * told[at]).sum() / at.shape[0]

    def validate() -> float:
        with torch.no_grad():
            return float(loss_of(testing))

    best_loss, best, stale = validate(), [w.detach().clone() for w in weights], 0
    for _ in range(_ROUNDS):
        for _ in range(_CHECK):
            optimiser.zero_grad(set_to_none=True)
            loss_of(generator.choice(training, min(_BATCH, training.size))).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        loss = validate()
        stale = 0 if loss < best_loss else stale + 1
        if stale == 0:
            best_loss, best = loss, [w.detach().clone() for w in weights]
        elif stale == _PATIENCE:
            break
    with torch.no_grad():
        for weight, value in zip(weights, best, strict=True):
            weight.copy_(value)


def draw_pause(
    hazards: Float32[Tensor, "B ranges"], edges: Float64[Tensor, "B ranges_plus_1"], generator: Generator
) -> Float64[Tensor, "B"]:
    """Draw pauses in seconds: a range by the hazards, a place in it evenly on the logarithmic scale.

    Who is not back within the last range never comes back: infinity.
    """
    users = hazards.shape[0]
    alive = (1 - hazards).cumprod(1)
    place = (alive > uniform(generator, (users, 1))).sum(1)
    back = place < hazards.shape[1]
    place = place.clamp(max=hazards.shape[1] - 1)
    low, high = (edges.gather(1, column[:, None])[:, 0].log() for column in (place, place + 1))
    pause = (low + (high - low) * uniform(generator, (users,)).double()).exp()
    return torch.where(back, pause, math.inf)
