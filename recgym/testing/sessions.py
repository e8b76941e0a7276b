"""What an episode is: one request, one session, or session after session."""

import numpy as np

from recgym.arrays import to_numpy
from recgym.envs import AutoresetMode, RecVectorEnv
from recgym.testing.play import Actions, Maker

__all__ = ["check_sessions"]

USERS, STEPS, SEED = 16, 60, 11


def check_sessions(maker: Maker) -> None:
    """Episodes end as the level of the task says, and sessions follow each other after the time that users are away."""
    env = maker.vector(USERS, AutoresetMode.DISABLED)
    actions = Actions(env.single_action_space, USERS, SEED)
    env.reset(seed=SEED)
    for count in range(1, STEPS + 1):
        ended = _check_step(env, actions.next(), f"{maker.env_id}, step {count}")
        if ended.any():
            env.reset(options={"reset_mask": ended})
            fresh = to_numpy(env.simulation.session)[ended], to_numpy(env.simulation.clock_s)[ended]
            assert not np.concatenate(fresh).any(), f"{maker.env_id}: a new episode does not start in session 0, at 0 s"


def _check_step(env: RecVectorEnv, action: np.ndarray, where: str) -> np.ndarray:
    """One step; which episodes ended with it."""
    simulation, task = env.simulation, env.task
    session, clock = to_numpy(simulation.session).copy(), to_numpy(simulation.clock_s).copy()
    _, _, terminated, truncated, info = env.step(action)
    left = to_numpy(simulation.model.has_left(simulation.users))
    assert ("session" in info) == (task.level == "retention"), f"{where}: info 'session' on level {task.level!r}"
    if task.level == "request":
        assert terminated.all(), f"{where}: an episode of one request goes on"
    elif task.level == "session":
        assert (terminated == left).all(), f"{where}: the end of the episode is not that of the session"
    else:
        gap = info["return_gap_s"]
        back = info["session_ended"] & (gap <= task.retention.churn_after_s)
        gone = info["session_ended"] & ~back
        assert (terminated == gone).all(), f"{where}: the episode ends for others than those who stay away for too long"
        assert (info["session"] == session + back).all(), f"{where}: sessions are not counted by those who come back"
        assert not left[back].any(), f"{where}: users who came back have left already"
        away = to_numpy(simulation.clock_s) - clock
        assert (away[back] >= gap[back]).all(), f"{where}: the clock does not move on by the time away"
    return np.asarray(terminated | truncated)
