"""ShortVideo against closed forms in plain arithmetic, and its conflict between watch time and what is liked."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from scipy import stats

from recgym.agents import RandomPolicy
from recgym.arrays import take_rows, to_numpy, zeros
from recgym.envs import Level, RetentionLimits
from recgym.envs.short_video import task
from recgym.evaluation import OneStepOracle, rollout
from recgym.evaluation.baselines import action_spec
from recgym.seeding import make_generator
from recgym.simulators import ShortVideo, ShortVideoConfig
from recgym.simulators.short_video import ShortVideoState

USERS, K = 40, 3
REACTIONS = ("like", "comment", "forward", "follow", "hate")


def users_and_slates(model: ShortVideo) -> tuple[ShortVideoState, np.ndarray]:
    """Users in the middle of a session, so that fatigue and satisfaction are not 0, and what they are shown next."""
    generator, rng = make_generator(0, "users", device="numpy"), np.random.default_rng(0)
    state = model.sample_users(USERS, generator)
    for _ in range(6):
        slate = rng.integers(model.num_items, size=(USERS, K))
        state = model.advance(state, slate, model.respond(state, slate, generator), generator)
    return state, np.stack([rng.permutation(model.num_items)[:K] for _ in range(USERS)])


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def closed_form(model: ShortVideo, state: Any, user: int, item: int, wrong: str = "") -> list[float]:
    """Expected feedback of one video in plain numbers, from the class's specification; or with one slip."""
    config = model.config
    assert isinstance(config.clickbait_pull, float)
    duration, _, quality, hook = (float(x) for x in model._facts[item])
    tired = 0.0 if wrong == "no fatigue" else 1.0
    topics = [float(t) for t in model.topics[item]]
    appeal = sum(
        (float(a) - tired * float(f)) * t
        for a, f, t in zip(state.taste[user], state.fatigue[user], topics, strict=True)
    )
    mood = 0.0 if wrong == "no mood" else config.mood_pull * float(state.satisfaction[user])
    worth = appeal + quality - (0.0 if wrong == "no regret" else config.hook_regret * hook)
    pull = appeal + config.quality_pull * quality + config.clickbait_pull * hook + mood
    mean = config.attention_s * (duration / config.duration_s) ** config.stretch * math.exp(max(-3.0, min(3.0, pull)))
    watched = mean if wrong == "uncut" else mean * (1 - math.exp(-duration / mean))
    long = math.exp(-min(duration, 18.0) / mean)
    chances = [sigmoid(rate + slope * worth) for rate, slope in zip(config.rates, config.slopes, strict=True)]
    gate = 1.0 if wrong == "no gate" else long
    return [watched, long, *(gate * chance for chance in chances[:4]), chances[4]]


def gap_to(model: ShortVideo, wrong: str = "") -> float:
    """Largest relative distance between the model's expectation and the closed form."""
    state, slate = users_and_slates(model)
    found = model.expected(state, slate).feedback
    form = [[closed_form(model, state, u, int(item), wrong) for item in slate[u]] for u in range(USERS)]
    return float(np.abs(found / np.array(form) - 1).max())


def test_expected_feedback_in_closed_form() -> None:
    assert gap_to(ShortVideo(device="numpy")) < 1e-3


@pytest.mark.parametrize("wrong", ["no fatigue", "no mood", "no regret", "uncut", "no gate"])
def test_slips_are_told_apart(wrong: str) -> None:
    assert gap_to(ShortVideo(device="numpy"), wrong) > 0.02


def test_the_watched_share_is_a_cut_exponential() -> None:
    """The whole distribution, not only its mean: P(share > x) = exp(-x d / m) below 1, and the rest is at 1."""
    model = ShortVideo(device="numpy")
    state, slate = users_and_slates(model)
    rows = np.repeat(np.arange(5), 4000)
    draws = model.respond(take_rows(state, rows), slate[rows][:, :1], make_generator(3, "draws", device="numpy"))
    watched = draws.feedback[:, 0, 0].reshape(5, 4000)
    long = draws.feedback[:, 0, 1].reshape(5, 4000)
    for user in range(5):
        duration = float(model._facts[slate[user, 0], 0])
        share = watched[user] / duration
        long_chance = closed_form(model, state, user, int(slate[user, 0]))[1]
        mean = -min(duration, 18.0) / math.log(long_chance)
        whole = math.exp(-duration / mean)
        assert stats.binomtest(int((share >= 1 - 1e-6).sum()), 4000, whole).pvalue > 1e-4
        inside = share[share < 1 - 1e-6]
        cut = stats.truncexpon(duration / mean, scale=mean / duration)
        assert stats.kstest(inside, cut.cdf).pvalue > 1e-4
        np.testing.assert_array_equal(long[user] > 0, watched[user] >= min(duration, 18.0) * (1 - 1e-6))


def test_rates_of_random_slates_are_realistic() -> None:
    """1.6 % liked, 0.24 % commented, 0.1 % forwarded, 0.12 % followed, 0.05 % hated, over sessions to their end."""
    model, users = ShortVideo(device="numpy"), 4000
    generator, rng = make_generator(5, "users", device="numpy"), np.random.default_rng(5)
    state, alive = model.sample_users(users, generator), np.ones(users, dtype=bool)
    total, shown = np.zeros(7), 0
    while alive.any():
        slate = rng.integers(model.num_items, size=(users, 1))
        total += model.expected(state, slate).feedback[alive, 0].sum(0, dtype=np.float64)
        shown += int(alive.sum())
        state = model.advance(state, slate, model.respond(state, slate, generator), generator)
        alive &= ~model.has_left(state)
    rates = dict(zip(model.schema.names, total / shown, strict=True))
    wanted = dict(zip(REACTIONS, (0.016, 0.0024, 0.001, 0.0012, 0.0005), strict=True))
    for name, rate in wanted.items():
        assert rates[name] == pytest.approx(rate, rel=0.06), name
    assert 0.2 < rates["long_view"] < 0.4
    assert 10 < shown / users < 25


def gap_distribution(satisfaction: float, loyalty: float) -> tuple[float, stats.rv_continuous]:
    """Probability of never coming back, and the distribution of the days away of those who do."""
    never = sigmoid(-3.0 - 4.0 * satisfaction - loyalty)
    return never, stats.lognorm(s=0.8, scale=math.exp(-2.5 * satisfaction - loyalty))


@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_gaps_have_the_stated_distribution(device: str) -> None:
    model, n = ShortVideo(device=device), 20_000
    generator = make_generator(0, "users", device=device)
    one = model.sample_users(1, generator)
    for satisfaction, loyalty in ((0.0, 0.0), (0.5, 0.3), (-0.4, -0.5)):
        single = one._replace(satisfaction=one.satisfaction * 0 + satisfaction, loyalty=one.loyalty * 0 + loyalty)
        many = take_rows(single, zeros((n,), "int64", device))
        days = to_numpy(model.return_gap(many, generator)) / 86_400
        never, away = gap_distribution(satisfaction, loyalty)
        gone = np.isinf(days)
        assert stats.binomtest(int(gone.sum()), n, never).pvalue > 1e-4
        assert stats.kstest(days[~gone], away.cdf).pvalue > 1e-4
        for wrong in (satisfaction + 0.1, satisfaction - 0.1):
            assert stats.kstest(days[~gone], gap_distribution(wrong, loyalty)[1].cdf).pvalue < 1e-6


def outcomes(config: ShortVideoConfig, level: Level) -> dict[str, dict[str, float]]:
    """What policies that look one step ahead come to: by watch time, by likes, and at random."""
    found = {}
    for name, reward, policy in (
        ("watch", {"watch_time": 1.0}, OneStepOracle),
        ("like", {"like": 1.0}, OneStepOracle),
        ("random", {"like": 1.0}, None),
    ):
        world = task(level=level, reward=reward, config=config, retention=RetentionLimits(max_sessions=5), window=1)
        maker: Callable[..., Any] | Any = policy or RandomPolicy(action_spec(world))
        episodes = rollout(maker, world, users=200, seeds=(0,), device="numpy").episodes
        steps = episodes.length.sum()
        found[name] = {
            "watch": episodes.feedback[..., 0].sum() / steps, "likes": episodes.feedback[..., 2].sum() / steps,
            "steps": float(episodes.length.mean()), "left": float(episodes.left.mean()),
            "days": float(episodes.days.sum() / (episodes.sessions - 1).sum()) if level == "retention" else 0.0,
        }  # fmt: skip
    return found


def test_watch_time_and_likes_conflict() -> None:
    found = outcomes(ShortVideoConfig(num_videos=300), "session")
    watch, like, random = found["watch"], found["like"], found["random"]
    assert watch["watch"] > 1.8 * like["watch"] > 2 * random["watch"], "watch time can be had at once"
    assert like["likes"] > 1.8 * watch["likes"], "but not with likes"
    assert like["steps"] > 1.8 * watch["steps"], "and it shortens sessions"
    assert like["likes"] > 3 * random["likes"]


def test_watch_time_drives_users_away() -> None:
    found = outcomes(ShortVideoConfig(num_videos=300), "retention")
    watch, like = found["watch"], found["like"]
    assert watch["left"] > 3 * like["left"]
    assert watch["days"] > 1.5 * like["days"]


def test_without_the_conflict_there_is_none() -> None:
    config = replace(ShortVideoConfig.without_conflict(), num_videos=300)
    levels: tuple[Level, ...] = ("session", "retention")
    for level in levels:
        found = outcomes(config, level)
        watch, like = found["watch"], found["like"]
        for name in ("watch", "likes", "steps", "left"):
            assert watch[name] == pytest.approx(like[name], rel=0.1, abs=0.01), (level, name)


def test_an_oracle_beats_chance_on_every_level() -> None:
    for level in get_args(Level):
        world = task(level=level)
        best = rollout(OneStepOracle, world, users=300, seeds=(0,), device="numpy").episodes.reward
        random = rollout(RandomPolicy(action_spec(world)), world, users=300, seeds=(0,), device="numpy").episodes.reward
        assert stats.ttest_rel(best[0], random[0], alternative="greater").pvalue < 1e-6, level
