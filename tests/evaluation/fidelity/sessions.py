"""Made-up sessions whose every feature is known."""

from dataclasses import replace

import numpy as np

from recgym.evaluation.fidelity.traces import Traces


def made_up(
    lengths: list[int], slate: int = 2, taken: list[float] | None = None, gap_s: list[float] | None = None
) -> Traces:
    """Sessions of two users in turn; steps are 10 s apart, item i of N = 10 is shown in turn, of one channel."""
    count = np.array(lengths)
    session = np.repeat(np.arange(count.size), count)
    index = np.concatenate([np.arange(n) for n in lengths])
    rows = session.size * slate
    feedback = np.zeros(rows, dtype=np.float32) if taken is None else np.array(taken, dtype=np.float32)
    return Traces(
        user=np.arange(count.size) % 2, start_s=np.arange(count.size) * 1000.0,
        gap_s=np.full(count.size, 100.0) if gap_s is None else np.array(gap_s),
        gap_seen=np.ones(count.size, dtype=bool), step_session=session, step_index=index, step_time=index * 10.0,
        row_step=np.repeat(np.arange(session.size), slate), item=np.arange(rows) % 10,
        position=np.tile(np.arange(slate), session.size), feedback=feedback[:, None],
        observed=np.ones((rows, 1), dtype=bool),
    )  # fmt: skip


def many(sessions: int, seed: int, rate: float = 0.3, users: int = 100) -> Traces:
    """Sessions of geometric length, of slates of two whose items are taken independently at a rate."""
    generator = np.random.default_rng(seed)
    lengths = np.minimum(generator.geometric(0.4, sessions), 20)
    taken = (generator.random(2 * lengths.sum()) < rate).astype(float)
    traces = made_up(lengths.tolist(), taken=taken.tolist(), gap_s=generator.exponential(3600.0, sessions).tolist())
    return replace(traces, user=np.arange(sessions) % users)
