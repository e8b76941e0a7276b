"""When ended episodes start anew: the three modes of Gymnasium, and what Stable-Baselines3 expects."""

import copy

import numpy as np

from recgym.arrays import to_numpy
from recgym.envs import AutoresetMode, RecVectorEnv, SB3VecEnv
from recgym.testing.checks import assert_same
from recgym.testing.play import Actions, Maker, Step, play, play_to_end, row_of

__all__ = ["check_disabled", "check_next_step", "check_same_step", "check_sb3"]

USERS, SEED = 8, 7
AFTER = 5


def _ended(step: Step) -> np.ndarray:
    return np.asarray(step.terminated | step.truncated)


def _check_masks(env: RecVectorEnv, step: Step, where: str) -> None:
    """Masks and groups in info are those of the users who are there now."""
    if "action_mask" in step.info:
        current = env.action_masks()[:, : step.info["action_mask"].shape[1]]
        assert_same(
            current, step.info["action_mask"], f"{where}: info 'action_mask' is not that of the users there now"
        )
    if "group" in step.info:
        current = to_numpy(env.simulation.group())
        assert_same(current, step.info["group"], f"{where}: info 'group' is not that of the users there now")


def check_next_step(maker: Maker) -> None:
    """The step after an end ignores the action of that row, gives a first observation, reward 0 and no end."""
    env = maker.vector(USERS, AutoresetMode.NEXT_STEP)
    steps, actions = play_to_end(env, seed=SEED)
    where = f"{maker.env_id}, next-step autoreset"
    pending, state, action = _ended(steps[-1]), env.get_state(), actions.next()
    step = copy.deepcopy(Step(*env.step(action)))
    _check_masks(env, step, where)
    steps_gone = to_numpy(env.simulation.steps)[pending]
    assert not steps_gone.any(), f"{where}: the step after an end does not start a new episode"
    assert not step.reward[pending].any(), f"{where}: the step after an end has reward {step.reward[pending]}, not 0"
    assert not _ended(step)[pending].any(), f"{where}: the step after an end ends an episode again"
    for name, values in step.info.get("feedback", {}).items():
        assert not values[pending].any(), f"{where}: the step after an end reports feedback in channel {name!r}"

    env.set_state(state)
    other = np.where(pending.reshape(-1, *[1] * (action.ndim - 1)), actions.next(), action)
    assert_same(step, Step(*env.step(other)), f"{where}: the step after an end depends on the action of that row")
    env.step(actions.next())
    steps_gone = to_numpy(env.simulation.steps)[pending]
    assert (steps_gone == 1).all(), f"{where}: a new episode counts {steps_gone} steps after its first"


def check_same_step(maker: Maker) -> None:
    """As without autoreset up to the first end; then ``final_*`` hold what was last, and new users stand there."""
    env, plain = maker.vector(USERS, AutoresetMode.SAME_STEP), maker.vector(USERS, AutoresetMode.DISABLED)
    steps, actions = play_to_end(env, seed=SEED)
    expected, _ = play_to_end(plain, seed=SEED)
    where = f"{maker.env_id}, same-step autoreset"
    assert_same(expected[:-1], steps[:-1], f"{where}: the steps before the first end are not those without autoreset")
    last, true = steps[-1], expected[-1]
    ended = _ended(true)
    _check_masks(env, last, where)
    for part in ("reward", "terminated", "truncated"):
        assert_same(getattr(true, part), getattr(last, part), f"{where}: the {part} of the step that ends an episode")
    for key in ("final_obs", "_final_obs", "final_info", "_final_info"):
        assert key in last.info, f"{where}: info has no {key!r} at the end of an episode"
    assert_same(ended, last.info["_final_obs"], f"{where}: '_final_obs' does not mark the rows that ended")
    assert_same(ended, last.info["_final_info"], f"{where}: '_final_info' does not mark the rows that ended")
    for row in np.flatnonzero(ended):
        observed = row_of(true.observation, int(row))
        assert_same(
            observed, last.info["final_obs"][row], f"{where}: 'final_obs' of row {row} is not its last observation"
        )
    info = row_of(last.info["final_info"], ended)
    assert_same(row_of(true.info, ended), info, f"{where}: 'final_info' is not the last info of the rows that ended")
    going_on = row_of(last.observation, ~ended)
    assert_same(row_of(true.observation, ~ended), going_on, f"{where}: the observation of a row that did not end")
    assert not to_numpy(env.simulation.steps)[ended].any(), f"{where}: the step that ends an episode starts no new one"
    following = Step(*env.step(actions.next()))
    again = to_numpy(env.simulation.steps)[ended]
    wanted = np.where(_ended(following), 0, 1)[ended]
    assert (again == wanted).all(), f"{where}: a new episode counts {again} steps after its first, expected {wanted}"


def check_disabled(maker: Maker) -> None:
    """A step after an end is refused until the ended rows are reset; a reset of some rows leaves the others alone."""
    env = maker.vector(USERS, AutoresetMode.DISABLED)
    where = f"{maker.env_id}, autoreset disabled"
    before = play(env, 1, seed=SEED)[-1]
    _check_partial_reset(env, before, np.arange(USERS) % 2 == 0, where)
    steps, actions = play_to_end(env, seed=SEED)
    try:
        env.step(actions.next())
    except ValueError:
        pass
    else:
        raise AssertionError(f"{where}: a step after an end was taken, a ValueError was expected")
    _check_partial_reset(env, steps[-1], _ended(steps[-1]), where)
    env.step(actions.next())


def _check_partial_reset(env: RecVectorEnv, before: Step, mask: np.ndarray, where: str) -> None:
    counts = to_numpy(env.simulation.steps).copy()
    observation, info = env.reset(options={"reset_mask": mask})
    _check_masks(env, Step(observation, None, None, None, info), where)
    others = f"{where}: a reset of some rows changes"
    assert_same(
        row_of(before.observation, ~mask), row_of(observation, ~mask), f"{others} the observation of another row"
    )
    now = to_numpy(env.simulation.steps)
    assert_same(np.where(mask, 0, counts), now, f"{others} the wrong rows, by their count of steps")


def check_sb3(maker: Maker) -> None:
    """``SB3VecEnv`` takes the same steps as same-step autoreset, and reports their ends as Stable-Baselines3 wants."""
    env = maker.vector(USERS, AutoresetMode.SAME_STEP)
    if env.reset(seed=SEED) and env.step(Actions(env.single_action_space, USERS, SEED).next())[1].ndim > 1:
        return  # Stable-Baselines3 knows scalar rewards only, and SB3VecEnv refuses others.
    where = f"{maker.env_id}, SB3VecEnv"
    expected, later = play_to_end(env, seed=SEED)
    for _ in range(AFTER):
        expected.append(copy.deepcopy(Step(*env.step(later.next()))))
    actions = Actions(env.single_action_space, USERS, SEED)
    other = SB3VecEnv(env.task, USERS)
    other.seed(SEED)
    assert_same(expected[0].observation, other.reset(), f"{where}: the first observation is not RecVectorEnv's")
    for count, step in enumerate(expected[1:], start=1):
        observation, reward, done, infos = other.step(actions.next())
        ended = _ended(step)
        theirs, ours = (step.observation, step.reward, ended), (observation, reward, done)
        assert_same(theirs, ours, f"{where}: step {count} is not RecVectorEnv's")
        for row in np.flatnonzero(ended):
            final, marked = step.info["final_obs"][row], infos[row].get("terminal_observation")
            assert_same(final, marked, f"{where}: 'terminal_observation' of row {row} is not its last observation")
            cut = infos[row].get("TimeLimit.truncated")
            assert cut == bool(step.truncated[row]), f"{where}: 'TimeLimit.truncated' of row {row} is {cut}"
