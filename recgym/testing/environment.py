"""The contract of recgym's environments, in Gymnasium's form and in Stable-Baselines3's."""

import copy
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import check_env
from scipy import stats

from recgym.envs import RecVectorEnv
from recgym.testing.autoreset import check_disabled, check_next_step, check_same_step, check_sb3
from recgym.testing.checks import Check, assert_same, leaves, no_global_randomness
from recgym.testing.hidden import check_intervention, check_values
from recgym.testing.play import Actions, Maker, Step, play, returns, row_of
from recgym.testing.sessions import check_sessions

__all__ = ["check_environment", "environment_checks"]

USERS, STEPS, SEED = 8, 30, 3
SINGLE_EPISODES, EPISODES = 64, 256
SIGNIFICANCE = 1e-4


def check_environment(env_id: str, **settings: Any) -> None:
    """Check everything that an environment of this package promises.

    Args:
        env_id: Gymnasium id, such as ``"recgym/LongTermSatisfaction-v0"``.
        settings: keyword arguments for ``gym.make`` and ``gym.make_vec``, the same for any number of users.

    Raises:
        AssertionError: a promise is broken; the sentence says which.
    """
    for check in environment_checks(env_id, **settings):
        check.run()


def environment_checks(env_id: str, **settings: Any) -> tuple[Check, ...]:
    """The parts of :func:`check_environment`, to be run one by one."""
    maker = Maker(env_id, settings)
    parts: dict[str, Callable[[Maker], None]] = {
        "gymnasium's check_env": _check_gymnasium,
        "spaces, types and ends": _check_steps,
        "actions outside the space": _check_actions,
        "determinism under a seed": _check_determinism,
        "branching from a state": _check_branching,
        "arrays of the caller's own": _check_ownership,
        "gym.make and gym.make_vec agree": _check_single,
        "B = 1 and B = 64 agree": _check_batch_sizes,
        "hidden state: intervention": check_intervention,
        "hidden state: values": check_values,
        "episodes and sessions": check_sessions,
        "autoreset: next step": check_next_step,
        "autoreset: same step": check_same_step,
        "autoreset: disabled": check_disabled,
        "Stable-Baselines3 agrees": check_sb3,
    }
    return tuple(Check(name, partial(check, maker)) for name, check in parts.items())


def _check_gymnasium(maker: Maker) -> None:
    """Gymnasium's own check, without a warning beside those that making the environment gives."""
    with warnings.catch_warnings(record=True) as known:
        warnings.simplefilter("always")
        env = maker.single()
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        check_env(env, skip_render_check=True)
    expected = {str(warning.message) for warning in known}
    new = [str(warning.message) for warning in given if str(warning.message) not in expected]
    if isinstance(env.step(env.action_space.sample())[1], np.ndarray):
        new = [message for message in new if "The reward returned by" not in message]  # ours may be vectors
    assert not new, f"{maker.env_id}: gymnasium's check_env warns: {new[0]}"
    limit = gym.spec(maker.env_id).max_episode_steps
    assert limit is None, (
        f"{maker.env_id}: registered with max_episode_steps={limit}, the task itself must end episodes"
    )


def _check_steps(maker: Maker) -> None:
    """Observations in their space, row by row; rewards, ends and infos of the right type; never both ends at once."""
    env = maker.vector(USERS)
    for count, step in enumerate(play(env, 5 * STEPS, seed=SEED)):
        where = f"{maker.env_id}, step {count}"
        assert env.observation_space.contains(step.observation), f"{where}: the observation is not in its space"
        for row in range(USERS):
            one = row_of(step.observation, row)
            assert env.single_observation_space.contains(one), f"{where}: row {row} is not in the observation space"
        _check_info(env, step.info, where)
        if step.reward is not None:
            _check_outcome(step, where)


def _check_outcome(step: Step, where: str) -> None:
    assert step.reward.shape[0] == USERS, (
        f"{where}: the reward has shape {step.reward.shape}, users were expected first"
    )
    assert np.isfinite(step.reward).all(), f"{where}: the reward is not finite"
    for name, ends in (("terminated", step.terminated), ("truncated", step.truncated)):
        legal = isinstance(ends, np.ndarray) and ends.dtype == np.bool_ and ends.shape == (USERS,)
        assert legal, f"{where}: {name} is not a bool array of shape ({USERS},)"
    assert not (step.terminated & step.truncated).any(), f"{where}: a user is both terminated and truncated"


def _check_info(env: RecVectorEnv, info: dict[str, Any], where: str) -> None:
    for path, value in leaves(info):
        shaped = isinstance(value, np.ndarray) and value.shape[:1] == (USERS,)
        assert shaped, f"{where}: info {path!r} is not an array with one row a user"
    if "action_mask" in info:
        usable = info["action_mask"].any(axis=1).all()
        assert usable, f"{where}: info 'action_mask' leaves a user without an action"
    if "slate" in info:
        shown = info["slate"]
        legal = (shown >= -1) & (shown < env.task.model.num_items)
        assert legal.all(), f"{where}: info 'slate' holds an item outside 0..{env.task.model.num_items - 1}"


def _check_actions(maker: Maker) -> None:
    """Every action outside the space is refused, and a refused action changes nothing."""
    env = maker.vector(USERS)
    env.reset(seed=SEED)
    good = Actions(env.single_action_space, USERS, SEED).next()
    bad: dict[str, np.ndarray] = {"too few users": good[1:], "an axis too many": good[..., None]}
    if good.dtype.kind == "f":
        bad |= {"NaN": np.full_like(good, np.nan), "a number above 1": np.full_like(good, 1.5)}
        bad["whole numbers"] = np.zeros(good.shape, dtype=np.int64)
    else:
        bad |= {"-1": np.full_like(good, -1), f"{env.task.num_candidates}": np.full_like(good, env.task.num_candidates)}
        bad["fractions"] = good.astype(np.float64) / 2
    before = env.get_state()
    for name, action in bad.items():
        try:
            env.step(action)
        except ValueError:
            continue
        raise AssertionError(
            f"{maker.env_id}: an action outside the space ({name}) was taken, a ValueError was expected"
        )
    assert_same(before, env.get_state(), f"{maker.env_id}: a refused action changed the environment")


def _check_determinism(maker: Maker) -> None:
    """The same seed gives the same steps, bit for bit, whatever happened before and elsewhere."""
    env, used = maker.vector(USERS), maker.vector(USERS)
    with no_global_randomness(maker.env_id):
        first = play(env, STEPS, seed=SEED)
    play(used, 7, seed=SEED + 2)
    sentence = f"{maker.env_id}: two runs with seed {SEED} differ"
    assert_same(first, play(used, STEPS, seed=SEED), sentence)
    assert_same(first, play(env, STEPS, seed=SEED), sentence)


def _check_branching(maker: Maker) -> None:
    """What follows a saved state follows it again, twice, and in another environment of the same task."""
    env, other = maker.vector(USERS), maker.vector(USERS)
    play(env, STEPS, seed=SEED)
    state = env.get_state()

    def go_on(branch: RecVectorEnv) -> list[Step]:
        actions = Actions(branch.single_action_space, USERS, SEED + 3)
        return [copy.deepcopy(Step(*branch.step(actions.next()))) for _ in range(STEPS)]

    first = go_on(env)
    for name, branch in (("once more", env), ("for the third time", env), ("in another environment", other)):
        branch.set_state(state)
        assert_same(first, go_on(branch), f"{maker.env_id}: going on from a saved state {name} gives other steps")


def _check_ownership(maker: Maker) -> None:
    """Writing into what was returned, or into the actions that were given, changes nothing else, now or later."""
    for device in _devices(maker):
        env, twin = maker.vector(USERS, device=device), maker.vector(USERS, device=device)
        expected = play(twin, 6, seed=SEED)
        actions = Actions(env.single_action_space, USERS, SEED)
        _spoil(env.reset(seed=SEED))
        for count in range(1, len(expected)):
            action = actions.next()
            step = Step(*env.step(action))
            sentence = f"{maker.env_id}: writing into arrays that were returned changes step {count}"
            assert_same(expected[count], step, sentence)
            _spoil((action, step.reward))
            sentence = f"{maker.env_id}: info shares memory with the reward or with the actions that were given"
            assert_same(expected[count].info, step.info, sentence)
            _spoil(step)


def _devices(maker: Maker) -> tuple[str, ...]:
    """The kinds of device that the model of the environment runs on."""
    return ("numpy", "cpu") if maker.vector(1).task.model.runs_on_numpy else ("cpu",)


def _spoil(tree: Any) -> None:
    """Overwrite every array."""
    for _, array in leaves(tree):
        if isinstance(array, np.ndarray) and array.dtype != object:
            array[...] = ~array if array.dtype == np.bool_ else 0


def _check_single(maker: Maker) -> None:
    """One user through ``gym.make`` is, bit for bit, one user through ``gym.make_vec``."""
    single, vector = maker.single(), maker.vector(1)
    actions = Actions(vector.single_action_space, 1, SEED)
    first, *steps = play(vector, STEPS, seed=SEED)
    sentence = f"{maker.env_id}: gym.make and gym.make_vec with one user differ"
    assert_same(_row_0(first.observation, first.info), single.reset(seed=SEED), f"{sentence} after a reset")
    for count, step in enumerate(steps, start=1):
        assert_same(_row_0(*step), single.step(actions.next()[0]), f"{sentence} in step {count}")
        if step.terminated[0] or step.truncated[0]:
            return


def _row_0(*parts: Any) -> tuple[Any, ...]:
    """Row 0 of each part, numbers as Python's."""
    rows = (row_of(part, 0) for part in parts)
    return tuple(row.item() if isinstance(row, np.generic) else row for row in rows)


def _check_batch_sizes(maker: Maker) -> None:
    """Returns of random actions have one distribution, for one user at a time and for many, on every device."""
    alone = returns(maker.vector(1), SINGLE_EPISODES, seed=SEED)
    for device in _devices(maker):
        together = returns(maker.vector(64, device=device), EPISODES, seed=SEED + 1)
        chance = float(stats.ks_2samp(alone, together).pvalue)
        assert chance > SIGNIFICANCE, (
            f"{maker.env_id}: returns at B = 1 (mean {alone.mean():.5g}, sd {alone.std():.5g}) and at B = 64 on "
            f"{device} (mean {together.mean():.5g}, sd {together.std():.5g}) are not of one distribution "
            f"(Kolmogorov-Smirnov p = {chance:.2g})"
        )
