import numpy as np
import torch

from recgym.simulators.learned import LearnedUsers, ObservableScorer
from recgym.simulators.learned.user_state import LearnedState
from recgym.types import History, Response
from tests.simulators.learned.known import SMALL, fitted


def blank_users(users: LearnedUsers, n: int) -> LearnedState:
    """Users without a past."""
    state = users.sample_users(n, torch.Generator().manual_seed(0))
    return state._replace(
        hidden=torch.zeros_like(state.hidden), last_s=torch.full_like(state.last_s, np.nan),
        recent=torch.full_like(state.recent, users.num_items),
    )  # fmt: skip


def test_the_score_is_the_truth_where_the_window_holds_the_whole_past() -> None:
    users, n, length = LearnedUsers(fitted()), 32, SMALL.history
    state = blank_users(users, n)
    draw = torch.Generator().manual_seed(1)
    history = History(
        torch.full((n, length), users.num_items),
        torch.zeros(n, length, 3),
        torch.zeros(n, length, dtype=torch.float64),
        torch.zeros(n, length, dtype=torch.bool),
    )
    scorer = ObservableScorer(fitted(), slate_size=1)
    candidates = torch.arange(users.num_items).repeat(n, 1)

    def truth() -> torch.Tensor:
        columns = [users.expected(state, candidates[:, i : i + 1]).feedback for i in range(users.num_items)]
        return torch.cat(columns, 1)

    for step in range(4):
        torch.testing.assert_close(scorer(history, state.profile, candidates), truth(), atol=1e-5, rtol=1e-4)
        slate = torch.stack([torch.full((n,), (3 * step + k) % users.num_items) for k in range(2)], 1)
        response = users.respond(state, slate, draw)
        state = users.advance(state, slate, response, draw)
        history = record(history, slate, response, state.clock_s)


def record(history: History, slate: torch.Tensor, response: Response, clock_s: torch.Tensor) -> History:
    """The record as an environment keeps it: consumed items move in from the right, at the end of the step."""
    parts = [part.clone() for part in history]
    for b, k in (response.feedback != 0).any(-1).nonzero().tolist():
        new = (slate[b, k], response.feedback[b, k], clock_s[b], torch.tensor(True))
        for part, value in zip(parts, new, strict=True):
            part[b] = torch.cat([part[b, 1:], value[None]])
    return History(*parts)


def test_padding_changes_nothing() -> None:
    users = LearnedUsers(fitted())
    state = users.sample_users(16, torch.Generator().manual_seed(0))
    history = users.observe(state).history
    assert history is not None
    scorer = ObservableScorer(fitted(), slate_size=4)
    candidates = torch.arange(10).repeat(16, 1)
    wide = History(*(torch.cat([torch.zeros_like(part[:, :5]), part], 1) for part in history))
    wide.items[:, :5] = users.num_items
    torch.testing.assert_close(scorer(history, state.profile, candidates), scorer(wide, state.profile, candidates))
