"""The best 100 of a million items for 1,024 users: ``python -m benchmarks.million_items --json``.

Timed is :meth:`recgym.encoders.ItemRetriever.retrieve` of users whose histories go through a SASRec of 64, two blocks
and a window of 50: no array ever holds all users' scores of all items. Beside it stands the product of all users with
all items alone, block by block, which no exact way can do without. ``peak_gib`` is the memory that the process gains
while it retrieves, above the item vectors.
"""

import statistics
import time

import numpy as np
import torch

from benchmarks.measure import finish, machine, options, peak_gib
from recgym.encoders import Catalogue, ItemRetriever, SASRecConfig, Sequences, seeded
from recgym.types import History

__all__ = ["main"]

USERS, ITEMS, BEST, WINDOW = 1024, 1_000_000, 100, 50
BLOCK = 2048  # items of the product alone: two million scores of 1,024 users, as in the retrieval


def _product(queries: torch.Tensor, vectors: torch.Tensor, block: int) -> None:
    for first in range(0, len(vectors), block):
        queries @ vectors[first : first + block].T


@torch.no_grad()
def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the result; returns 0."""
    parser = options("million_items", __doc__)
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    users, items, repeats = (16, 20_000, 1) if args.quick else (USERS, ITEMS, args.repeats)
    rng = np.random.default_rng(0)
    consumed = torch.from_numpy(rng.integers(0, items, (users, WINDOW)))
    times = torch.arange(WINDOW, dtype=torch.float64).expand(users, -1)
    history = History(consumed, torch.zeros(users, WINDOW, 0), times, torch.ones_like(consumed, dtype=torch.bool))
    sequences = Sequences(consumed.numpy().ravel(), np.arange(users + 1) * WINDOW, items)
    with seeded(0, "benchmark"):
        model = SASRecConfig(window=WINDOW, heads=2, rotary=True).build(Catalogue.of(sequences)).eval()
    retriever = ItemRetriever(model, repeats=False)
    before, seconds, product = peak_gib(), [], []
    for _ in range(repeats + 1):  # the first warms up
        start = time.perf_counter()
        retriever.retrieve(torch.arange(users), history, BEST)
        middle = time.perf_counter()
        _product(torch.randn(users, 64), model.vectors(), BLOCK)
        seconds.append(middle - start)
        product.append(time.perf_counter() - middle)
    body = machine() | {
        "users": users, "items": items, "best": BEST, "seconds": seconds[1:], "product_seconds": product[1:],
        "peak_gib": peak_gib() - before,
    }  # fmt: skip
    line = (
        f"{users:,} users, the best {BEST} of {items:,} items: {statistics.median(seconds[1:]):.2f} s, of which the "
        f"product alone takes {statistics.median(product[1:]):.2f} s"
    )
    return finish("million_items", body, args, line)


if __name__ == "__main__":
    raise SystemExit(main())
