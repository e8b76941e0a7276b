"""Work that is shared gives what work that is not shared gives."""

from collections.abc import Iterator
from itertools import count, islice

import pytest
import torch

from recgym.workers import Processes, in_turn, workers_of


def _scaled(factor: float, piece: int) -> float:
    return factor * piece


def _threads(_: None, piece: int) -> int:
    return torch.get_num_threads()


def _refusing(_: None, piece: int) -> int:
    raise ValueError(f"piece {piece} is refused")


def test_processes_give_the_results_in_order() -> None:
    offset = 0.5
    assert list(Processes(2).map(lambda factor, piece: factor * piece + offset, 2.0, range(9))) == [
        2.0 * piece + offset for piece in range(9)
    ]
    assert list(Processes(2).map(_threads, None, range(3))) == [torch.get_num_threads()] * 3


def test_what_goes_wrong_in_a_process_is_said_here() -> None:
    with pytest.raises(ValueError, match="piece 0 is refused"):
        list(Processes(2).map(_refusing, None, range(2)))


@pytest.mark.parametrize("workers", [1, 2])
def test_there_may_be_no_end_of_pieces(workers: int) -> None:
    made = Processes(workers).map(_scaled, 3.0, count())
    assert list(islice(made, 5)) == [0.0, 3.0, 6.0, 9.0, 12.0]
    made.close()


def test_no_more_is_begun_than_may_wait() -> None:
    begun: list[int] = []

    def pieces() -> Iterator[int]:
        for piece in count():
            begun.append(piece)
            yield piece

    made = in_turn(pieces(), lambda piece: piece, lambda ticket: ticket, 3)
    assert [next(made), next(made)] == [0, 1]
    assert begun == [0, 1, 2, 3]


def test_a_number_stands_for_processes() -> None:
    assert workers_of(3) == Processes(3)
    assert workers_of(Processes(2)) == Processes(2)
    with pytest.raises(ValueError, match="at least 1 worker is needed, found 0"):
        workers_of(0)
