"""Logs whose law is known and simple, without any user model: independent draws, and a Markov chain over items.

They are what an encoder or a ranking metric is checked on: on the first, nothing beats popularity; on the second,
nothing beats the transition matrix.
"""

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64

from recgym.data.schema import Channel, ChannelKind, FeedbackSchema, InteractionLog
from recgym.seeding import make_generator

__all__ = ["iid_log", "markov_log", "random_transitions", "zipf_popularity"]


def zipf_popularity(n_items: int, exponent: float = 1.0) -> Float64[np.ndarray, "N"]:
    """Probabilities in proportion to ``1 / rank ** exponent``, item 0 the most popular.

    Raises:
        ValueError: there is no item.
    """
    if n_items < 1:
        raise ValueError(f"at least one item is needed, found {n_items}")
    weights = 1.0 / np.arange(1, n_items + 1) ** exponent
    popularity: Float64[np.ndarray, N] = weights / weights.sum()
    return popularity


def random_transitions(n_items: int, concentration: float, seed: int) -> Float64[np.ndarray, "N N"]:
    """A transition matrix whose rows are independent symmetric Dirichlet draws.

    Args:
        n_items: N.
        concentration: small values make each item have few successors; the matrix tends to uniform as it grows.
        seed: decides the draw.
    """
    generator = _numpy_generator(seed, "transitions")
    rows: Float64[np.ndarray, "N N"] = generator.dirichlet(np.full(n_items, concentration), size=n_items)
    return rows


def iid_log(n_users: int, n_events: int, popularity: Float64[np.ndarray, "N"], seed: int) -> InteractionLog:
    """Each event of each user is an independent draw by the same popularity.

    Args:
        n_users: number of users.
        n_events: events of each user, one a second.
        popularity: probability of each item; sums to 1.
        seed: decides the draws.

    Raises:
        ValueError: the probabilities are negative or do not sum to 1, or there is no user or event.
    """
    _check(n_users, n_events, popularity[None, :], "popularity")
    draws = _numpy_generator(seed, "iid").choice(len(popularity), size=(n_users, n_events), p=popularity)
    return _log(draws, len(popularity), "independent draws")


def markov_log(n_users: int, n_events: int, transitions: Float64[np.ndarray, "N N"], seed: int) -> InteractionLog:
    """Each user walks a Markov chain over the items, from a uniformly drawn first one.

    Args:
        n_users: number of users.
        n_events: events of each user, one a second.
        transitions: row i holds the probabilities of the item after item i; each row sums to 1.
        seed: decides the draws.

    Raises:
        ValueError: the probabilities are negative or a row does not sum to 1, or there is no user or event.
    """
    _check(n_users, n_events, transitions, "transitions")
    generator = _numpy_generator(seed, "markov")
    cumulative = np.cumsum(transitions, axis=1)
    cumulative[:, -1] = 1.0
    walk = np.empty((n_users, n_events), dtype=np.int64)
    walk[:, 0] = generator.integers(len(transitions), size=n_users)
    for step in range(1, n_events):
        draw = generator.random(n_users)
        walk[:, step] = (cumulative[walk[:, step - 1]] <= draw[:, None]).sum(axis=1)
    return _log(walk, len(transitions), "Markov chain")


def _numpy_generator(seed: int, name: str) -> np.random.Generator:
    generator = make_generator(seed, name, device="numpy")
    assert isinstance(generator, np.random.Generator)
    return generator


def _check(n_users: int, n_events: int, rows: Float64[np.ndarray, "R N"], name: str) -> None:
    if n_users < 1 or n_events < 1:
        raise ValueError(f"at least one user and one event are needed, found {n_users} users and {n_events} events")
    if (rows < 0).any() or not np.allclose(rows.sum(axis=1), 1.0):
        raise ValueError(f"{name} must be probabilities that sum to 1, found a sum of {rows.sum(axis=1).max():g}")


def _log(items: Int64[np.ndarray, "U E"], n_items: int, source: str) -> InteractionLog:
    n_users, n_events = items.shape
    empty = {"session": pl.Int64, "slate": pl.Int64, "position": pl.Int32, "propensity": pl.Float64}
    frame = pl.DataFrame(
        {
            "user": np.repeat(np.arange(n_users), n_events),
            "item": items.reshape(-1),
            "time_s": np.tile(np.arange(n_events, dtype=np.float64), n_users),
        }
    ).with_columns(
        *(pl.lit(None, dtype=dtype).alias(name) for name, dtype in empty.items()),
        click=pl.lit(1.0, dtype=pl.Float32),
    )
    schema = FeedbackSchema((Channel("click", ChannelKind.BINARY),))
    ids = [pl.Series("id", np.arange(count)) for count in (n_users, n_items)]
    return InteractionLog(frame, schema, ids[0], ids[1], source=source)
