"""ACT-R users as a user model, and their answers against the formulas by hand."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from recgym.arrays import to_numpy
from recgym.seeding import make_generator
from recgym.simulators.actr import ACTRConfig, ACTRManners, ACTRMemory, ACTRState, ACTRUsers, ACTRWorld, make_world
from recgym.testing import check_user_model
from recgym.types import Array, Response

SMALL = ACTRConfig(num_items=60, people=80, past_sessions=5, window=40)
LAW = ACTRMemory(decay=0.6, noise=0.5, spreading=1.2, matching=0.3, satiation=0.7, threshold=-2.5, appeal=0.8)


def test_contract() -> None:
    check_user_model(ACTRUsers.of_config(ACTRConfig(num_items=25, people=60, past_sessions=3, window=16)))


def by_hand(model: ACTRUsers, state: ACTRState, user: int, item: int) -> float:
    """The chance of a listen, one number at a time."""
    world, law = model.world, model.world.memory
    items, times = to_numpy(state.items)[user], to_numpy(state.time_s)[user]
    heard, before = ([i for i in to_numpy(part)[user] if i < 60] for part in (state.heard, state.before))
    base = sum(max(-t, 1.0) ** -law.decay for i, t in zip(items, times, strict=True) if i == item and t < 0)
    tired = sum(math.exp(min(t, 0.0) / law.satiation_s) for i, t in zip(items, times, strict=True) if i == item)
    links = [zip(world.items.neighbours[j], world.items.strengths[j], strict=True) for j in heard]
    spread = sum(float(strength) for link in links for target, strength in link if target == item)
    match = sum(float(world.items.embeddings[item] @ world.items.embeddings[j]) for j in before if j != item)
    extra = (law.spreading * spread + law.matching * match - law.satiation * tired) / law.noise
    if base > 0:
        logit = world.manners.cue + (math.log(base) - law.threshold) / law.noise + extra
    else:
        liked = float(world.items.embeddings[item] @ to_numpy(state.taste)[user])
        logit = world.manners.novelty + law.appeal * liked + extra
    return 1 / (1 + math.exp(-logit))


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_answers_follow_the_formulas_over_sessions(device: str) -> None:
    model = ACTRUsers.of_config(replace(SMALL, memory=LAW)).on(device)
    generator = make_generator(4, "test", device=device)
    state = model.sample_users(20, generator)
    known = 0
    for step in range(24):
        if step % 6 == 5:
            gap = model.return_gap(state, generator)
            state = model.come_back(state, gap, generator)
        slate = make_slates(step, device)
        expected = to_numpy(model.expected(state, slate).feedback)
        for user in range(20):
            for position, item in enumerate(to_numpy(slate)[user]):
                wanted = 0.0 if item in to_numpy(slate)[user][:position] else by_hand(model, state, user, int(item))
                assert expected[user, position, 0] == pytest.approx(wanted, rel=2e-4, abs=1e-6)
                known += expected[user, position, 1] > 0
        response = model.respond(state, slate, generator)
        assert (to_numpy(response.feedback)[..., 1] <= to_numpy(response.feedback)[..., 0]).all()
        state = model.advance(state, slate, response, generator)
    assert 100 < known < 1300


def make_slates(step: int, device: str) -> Array:
    drawn = np.random.default_rng(step).integers(60, size=(20, 3))
    return drawn if device == "numpy" else torch.from_numpy(drawn)


def one_item(model: ACTRUsers, state: ACTRState, item: Array) -> Array:
    return model.expected(state, item[:, None]).feedback[:, 0, 0]


def test_a_listen_tires_now_and_helps_later() -> None:
    """Satiation within the session and for some days; after weeks the item comes to mind better than without it."""
    model = ACTRUsers.of_config(replace(SMALL, window=96, memory=ACTRMemory(matching=0.0))).on("numpy")
    generator = make_generator(1, "test", device="numpy")
    state = model.sample_users(500, generator)
    item = to_numpy(state.before)[:, -1]
    slate = item[:, None]

    def answered(listen: float) -> ACTRState:
        feedback = np.full((500, 1, 2), listen, dtype=np.float32)
        return model.advance(state, slate, Response(feedback), generator)

    with_it, without = answered(1.0), answered(0.0)
    assert (one_item(model, with_it, item) < one_item(model, without, item)).all()
    later = [model.come_back(s, np.full(500, 28 * 86_400.0), generator) for s in (with_it, without)]
    assert (one_item(model, later[0], item) > one_item(model, later[1], item)).all()
    tireless = ACTRUsers(replace(model.world, memory=replace(model.world.memory, satiation=0.0)), "numpy")
    np.testing.assert_allclose(one_item(tireless, with_it, item), one_item(tireless, without, item), rtol=1e-6)


def test_satisfied_users_come_back_sooner_and_bored_ones_leave_earlier() -> None:
    model = ACTRUsers.of_config(replace(SMALL, manners=ACTRManners(return_pull=2.0, impatience=1.0))).on("numpy")
    generator = make_generator(2, "test", device="numpy")
    state = model.sample_users(4000, generator)
    slate = np.zeros((4000, 1), dtype=np.int64)
    ends = {}
    for listen in (0.0, 1.0):
        now, steps = state, np.zeros(4000)
        answer = Response(np.full((4000, 1, 2), listen, dtype=np.float32))
        for _ in range(16):
            steps += ~now.left
            now = model.advance(now, slate, answer, generator)
        ends[listen] = steps.mean(), np.log(model.return_gap(now, make_generator(3, "gaps", device="numpy"))).mean()
    assert ends[1.0][0] == pytest.approx(10.0, abs=0.2), "lengths are 5 to 15 steps"
    assert ends[0.0][0] == pytest.approx(np.ceil(np.arange(5, 16) / 2).mean(), abs=0.2)
    far = 1 - 0.8**16
    assert ends[0.0][1] - ends[1.0][1] == pytest.approx(2.0 * far * 1.3, rel=1e-3)


def test_the_oldest_event_gives_way() -> None:
    model = ACTRUsers.of_config(SMALL).on("numpy")
    generator = make_generator(5, "test", device="numpy")
    state = model.sample_users(10, generator)
    answer = Response(np.ones((10, 3, 2), dtype=np.float32))
    for step in range(14):
        slate = np.arange(3 * step, 3 * step + 3)[None].repeat(10, 0)
        state = model.advance(state, slate, answer, generator)
    # 42 events have gone into 40 places.
    assert (np.sort(state.items, 1) == np.arange(2, 42)).all()
    assert (state.heard == np.arange(32, 42)).all()


def test_a_world_is_saved_and_read_back(tmp_path: Path) -> None:
    folder = tmp_path / "world"
    world = make_world(SMALL)
    world.save(folder)
    again = ACTRUsers.load(folder)
    assert again.world.memory == world.memory
    assert again.world.manners == world.manners
    for part in ("items", "times", "records"):
        for name, value in vars(getattr(world, part)).items():
            np.testing.assert_array_equal(getattr(getattr(again.world, part), name), value)
    (folder / "arrays.safetensors").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="missing or damaged"):
        ACTRWorld.load(folder)
    with pytest.raises(ValueError, match="does not exist"):
        ACTRWorld.load(tmp_path / "nowhere")


def test_what_cannot_be_is_refused() -> None:
    for wrong, sentence in (({"noise": 0.0}, "noise must be positive"), ({"follow": 1.5}, "follow must be a share")):
        with pytest.raises(ValueError, match=sentence):
            ACTRMemory(**wrong)
    with pytest.raises(ValueError, match=r"session must be two ascending numbers in 1\.\.10"):
        ACTRConfig(num_items=10, session=(5, 11))
