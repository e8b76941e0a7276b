import numpy as np

from recgym.simulators.learned.context import CONTEXT_NAMES, ItemContext, ItemStream


def stream(n: int = 400, items: int = 6, seed: int = 0) -> ItemStream:
    generator = np.random.default_rng(seed)
    shown = generator.random(n) < 0.8
    liked = (generator.random(n) < 0.3) & shown
    return ItemStream(
        item=generator.integers(items, size=n),
        time=np.round(generator.random(n) * 4 * 86_400, -2),  # ties are common
        shown=shown,
        taken=liked | ~shown,
        liked=liked,
        expected=np.where(shown, 0.3, 0.0).astype(np.float32),
    )


def brute(s: ItemStream, item: int, time: float) -> np.ndarray:
    """The features by their definition, row by row."""
    past = (s.item == item) & (s.time < time)

    def describe(rows: np.ndarray) -> list[float]:
        lift = np.log((s.liked[rows].sum() + 2) / (s.expected[rows].sum() + 2))
        return [np.log1p(s.shown[rows].sum()), np.log1p(s.taken[rows].sum()), lift]

    age = np.log1p((time - s.time[past].min()) / 60) if past.any() else 0.0
    hour, day = past & (s.time >= time - 3600), past & (s.time >= time - 86_400)
    return np.array([not past.any(), age, *describe(past), *describe(hour), *describe(day)])


def queries(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.integers(6, size=100), np.round(generator.random(100) * 4 * 86_400, -2)


def test_features_are_those_of_the_definition() -> None:
    s, (item, time) = stream(), queries()
    found = ItemContext.start(s, 6).at(item, time)
    assert found.shape == (100, len(CONTEXT_NAMES))
    np.testing.assert_allclose(found, np.stack([brute(s, i, t) for i, t in zip(item, time, strict=True)]), atol=1e-5)


def test_nothing_of_the_moment_itself_or_later_is_used() -> None:
    s, (item, time) = stream(), queries()
    now = 2 * 86_400.0
    changed = ItemStream(s.item, s.time, s.shown, s.taken, np.where(s.time >= now, s.shown, s.liked), s.expected)
    before = time <= now
    first, second = ItemContext.start(s, 6).at(item, time), ItemContext.start(changed, 6).at(item, time)
    np.testing.assert_array_equal(first[before], second[before])
    assert (first[~before] != second[~before]).any()


def test_a_compacted_past_answers_the_same() -> None:
    s, (item, time) = stream(), queries()
    now = 2.5 * 86_400
    early, late = s.pick(s.time <= now), s.pick(s.time > now)
    compact = ItemContext.start(early, 6).compacted(now)
    assert compact.stream.item.size < early.item.size
    after = time > now
    whole = ItemContext.start(s, 6).at(item[after], time[after])
    np.testing.assert_allclose(compact.extended(late).at(item[after], time[after]), whole, atol=1e-5)


def test_items_can_be_renamed_and_dropped() -> None:
    s, (item, time) = stream(), queries()
    ids = np.array([3, -1, 0, 2, 1, 7])
    renamed = ItemContext.start(s, 6).remapped(ids, 8)
    kept = ids[item] >= 0
    reference = ItemContext.start(s, 6).at(item[kept], time[kept])
    np.testing.assert_allclose(renamed.at(ids[item[kept]], time[kept]), reference, atol=1e-5)
    assert renamed.at(np.array([4]), np.array([1e6]))[0, 0] == 1.0, "an item that nobody has seen"
