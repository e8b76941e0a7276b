"""Steps behind an encoder: what is timed does what the full recomputation does."""

from benchmarks.encoder_loop import growing, world


def test_a_step_far_beyond_the_window_scores_as_the_whole_history() -> None:
    task, encoder = world(20)
    rows, apart = growing(task, encoder, (1, 3), 2)
    assert [row.steps for row in rows] == [1, 3]
    assert all(row.seconds > 0 for row in rows)
    assert 0 < apart < 1e-4
