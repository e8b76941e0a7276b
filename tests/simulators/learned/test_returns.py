import copy
import dataclasses
import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pytest
import torch

from recgym.simulators.learned import LearnedUsers
from recgym.simulators.learned.leaving import Ends
from recgym.simulators.learned.network import ResponseNetwork
from recgym.simulators.learned.passes import running_states
from recgym.simulators.learned.prepared import prepare
from recgym.simulators.learned.returns import Pauses, draw_pause, fit_returning, observed_pauses, session_ends
from recgym.simulators.learned.sessions import leave_labels
from recgym.simulators.learned.steps import Behaviour, ExposureSource
from tests.simulators.learned.moody import DAY, SMALL, fitted_moody, mean_gap_s, moody


class Sessions(NamedTuple):
    """Sessions of the known log with what the return head is asked, and the truth.

    Attributes:
        pauses: what the log shows.
        ends: all exposures.
        after: states.
        user: user of each exposure.
        mean_s: true mean pause after each session.
    """

    pauses: Pauses
    ends: Ends
    after: torch.Tensor
    user: np.ndarray
    mean_s: np.ndarray


@lru_cache(maxsize=1)
def sessions() -> Sessions:
    truth, fitted = moody(), fitted_moody()
    behaviour = Behaviour.of(truth.log, ExposureSource.SLATES, 4, 1800.0, np.random.default_rng(0))
    end = float(behaviour.step_time.max())
    labels = leave_labels(behaviour, end, 1800.0)
    pauses = observed_pauses(behaviour, labels, np.full(behaviour.n_steps, 30.0), end)
    data = prepare(truth.log, behaviour, fitted.users, fitted.context, np.arange(10), 10, 5)
    after = running_states(fitted.network, data)[1]
    ends = Ends.of(fitted.network, data, np.arange(behaviour.n_steps))
    return Sessions(pauses, ends, after, behaviour.step_user, mean_gap_s(truth.patience)[pauses.steps])


def returning(pauses: Pauses) -> torch.Tensor:
    """Hazards after each session, of a head fitted to these pauses; also sets the ranges of :func:`network`."""
    known = sessions()
    fit_returning(network(), pauses, known.after, known.ends, known.user, SMALL, seed=0)
    at = torch.from_numpy(known.pauses.steps)
    with torch.no_grad():
        told = [part[at] for part in session_ends(known.ends, network())]
        return network().coming_back(known.after[at], known.ends.profile[at], *told).sigmoid()


@lru_cache(maxsize=1)
def network() -> ResponseNetwork:
    return copy.deepcopy(fitted_moody().network)


def survival(hazards: torch.Tensor) -> np.ndarray:
    """Share of users who are not back by the end of each range."""
    return (1 - hazards).cumprod(1).mean(0).numpy()


def truth_at(edges: np.ndarray, mean_s: np.ndarray) -> np.ndarray:
    """The same, of exponential pauses that begin after half an hour."""
    waited = np.maximum(edges[1:] - 1801.0 + 30.0, 0.0)
    share: np.ndarray = np.exp(-waited[None] / mean_s[:, None]).mean(0)
    return share


def test_hazards_recover_the_true_curve_though_many_pauses_are_cut_short() -> None:
    known = sessions()
    assert (~known.pauses.back).mean() > 0.1
    hazards = returning(known.pauses)
    edges = network().gap_edges.numpy()
    learned, truth = survival(hazards), truth_at(edges, known.mean_s)
    near = edges[1:] < 10 * DAY
    assert np.abs(learned - truth)[near].max() < 0.045

    ignored = dataclasses.replace(known.pauses, back=np.ones_like(known.pauses.back))
    wrong = survival(returning(ignored))
    assert np.abs(wrong - truth_at(network().gap_edges.numpy(), known.mean_s))[near].max() > 0.06


def test_hazards_depend_on_the_session_as_in_the_truth() -> None:
    known = sessions()
    hazards = returning(known.pauses)
    edges = network().gap_edges.numpy()
    for low, high in ((0.0, 2 * DAY), (2 * DAY, 5 * DAY), (5 * DAY, math.inf)):
        rows = (known.mean_s >= low) & (known.mean_s < high)
        assert rows.sum() > 100
        learned, truth = survival(hazards[torch.from_numpy(rows)]), truth_at(edges, known.mean_s[rows])
        assert np.abs(learned - truth)[edges[1:] < 10 * DAY].max() < 0.08, (low, high)


def test_simulated_users_come_back_the_later_the_worse_the_session_was() -> None:
    users, draw = LearnedUsers(fitted_moody()), torch.Generator().manual_seed(0)
    state = users.sample_users(6000, draw)
    slate = torch.zeros(6000, 1, dtype=torch.int64)
    for _ in range(4):
        state = users.advance(state, slate, users.respond(state, slate, draw), draw)
    gaps = users.return_gap(state, draw)
    good = state.brought[:, 0] / 4 > 0.5
    assert gaps[good].median() < gaps[~good].median() / 2
    assert 0 < gaps[~good].isinf().float().mean() < 0.6, "beyond the log, nobody is known to come back"


def test_pauses_are_drawn_by_their_hazards() -> None:
    hazards = torch.tensor([[0.5, 0.2, 0.1], [0.0, 1.0, 0.0]]).repeat(20_000, 1)
    edges = torch.tensor([1.0, 10.0, 100.0, 1000.0], dtype=torch.float64).expand(40_000, 4)
    pauses = draw_pause(hazards, edges, torch.Generator().manual_seed(0))
    first, second = pauses[::2], pauses[1::2]
    shares = torch.histogram(first[first.isfinite()].log10().float(), 3, range=(0.0, 3.0)).hist / first.shape[0]
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.1, 0.04]), atol=0.01, rtol=0)
    assert first.isinf().float().mean().item() == pytest.approx(0.36, abs=0.01)
    assert bool(((second >= 10) & (second <= 100)).all())
