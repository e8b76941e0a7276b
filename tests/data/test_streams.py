import numpy as np
import pytest

from recgym.data import StreamConfig, new_item_stream

SMALL = StreamConfig(items=400, categories=20, records=3000, length=32)


def test_same_seed_same_stream() -> None:
    stream = new_item_stream(SMALL, 3)
    assert stream.shape == (3000, 32)
    assert np.array_equal(stream, new_item_stream(SMALL, 3))
    assert not np.array_equal(stream, new_item_stream(SMALL, 4))


def test_new_items_keep_coming() -> None:
    stream = new_item_stream(SMALL, 0)
    there = np.floor(400 * (0.4 + 0.6 * np.arange(3000) / 3000))
    assert (stream.max(1) < there).all()
    assert stream[:100].max() >= 150  # of 160
    assert stream[-100:].max() >= 395
    for start in (0, 1500, 2700):
        rows = slice(start, start + 300)
        even = (1 - (there[start] - 40) / there[rows]).mean()
        assert (stream[rows] >= there[start] - 40).mean() == pytest.approx(even, rel=0.05)


def test_a_history_is_of_few_categories_in_lasting_proportions() -> None:
    stream = new_item_stream(SMALL, 0)
    # Categories are not given away; which items share histories more often than chance shows them.
    pairs = np.zeros((160, 160))
    for row in stream:
        seen = row[row < 160]
        np.add.at(pairs, (seen[:, None], seen[None, :]), 1)
    np.fill_diagonal(pairs, 0)
    often = (pairs > 4 * np.median(pairs)).sum(1)
    assert abs(np.median(often) - 7) <= 1  # Of 160 items in 20 categories, each has 7 others of its own.


@pytest.mark.parametrize("concentration", [0.5, 20.0])
def test_categories_follow_a_dirichlet_process(concentration: float) -> None:
    # With one item a category, items are categories: of draws from an urn over a flat prior of two,
    # the second equals the first with chance a / (1 + a) * E[p^2 + q^2] + 1 / (1 + a), and E[p^2 + q^2] = 2 / 3.
    config = StreamConfig(
        items=40, categories=40, records=40_000, length=2, open_at_start=1.0, interests=2,
        concentration=(concentration, concentration),
    )  # fmt: skip
    stream = new_item_stream(config, 0)
    same = (stream[:, 0] == stream[:, 1]).mean()
    alone = 0.5  # histories of a single category
    of_two = concentration / (1 + concentration) * 2 / 3 + 1 / (1 + concentration)
    assert same == pytest.approx(alone + 0.5 * of_two, abs=0.01)


def test_bad_settings_raise() -> None:
    with pytest.raises(ValueError, match="records"):
        StreamConfig(records=0)
    with pytest.raises(ValueError, match="open_at_start"):
        StreamConfig(open_at_start=0.0)
    with pytest.raises(ValueError, match="concentration"):
        StreamConfig(concentration=(2.0, 1.0))
    with pytest.raises(ValueError, match="up to 5 of only 3"):
        StreamConfig(categories=3)
    with pytest.raises(ValueError, match="none of the 4 items"):
        new_item_stream(StreamConfig(items=10, categories=8, records=5), 0)
