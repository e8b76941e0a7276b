"""The whole loop on learned users with a sequence encoder's state: ``python -m benchmarks.encoder_loop --json``.

* ``ppo``: user-steps per second of Stable-Baselines3's PPO, learning included, 256 users. On our side one batch of
  users, whose states move on event by event (:func:`recgym.envs.encoded_task` in :class:`recgym.envs.SB3VecEnv`); on
  the other the same users, network and settings behind Gymnasium's ``SyncVectorEnv``, each environment with one user
  and an encoder of its own. The aim is a ratio of 3.
* ``step``: time of one step of 256 learned users with the state of a Transformer, for sessions of growing length, up to
  four times the window. A user's step costs the same at any length: the largest median over the smallest is at most
  1.2. ``scores`` is the largest difference of item scores, late in such a session, from encoding the whole history.

The simulator is that of :mod:`benchmarks.learned_speed`, the encoder a SASRec of 64, 2 blocks, a window of 50 events
and rotary positions; neither speed depends on what they have learned. One thread.
"""

import statistics
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import SyncVectorEnv
from stable_baselines3.common.vec_env import VecEnv

from benchmarks.learned_speed import SLATE, members
from benchmarks.measure import Ratio, finish, machine, options, paired
from recgym.agents import PPOConfig
from recgym.encoders import Batch, Catalogue, Event, EventConfig, FeedbackScale, FittedEncoder, SASRecConfig, seeded
from recgym.envs import AutoresetMode, SB3VecEnv, Simulation, encoded_task, make_task
from recgym.envs.single import RecEnv
from recgym.envs.task import Task
from recgym.types import History

__all__ = ["main"]

USERS, WINDOW, ROLLOUT = 256, 50, 8


@dataclass(frozen=True)
class Length:
    """Cost of a step at a length of session.

    Attributes:
        steps: of the session so far; a user consumes none to six items in each.
        seconds: median time of one step of all users.
    """

    steps: int
    seconds: float


class OneByOne(VecEnv):
    """Gymnasium's ``SyncVectorEnv`` as Stable-Baselines3 takes it: what one would write to put them together."""

    def __init__(self, task: Task, users: int) -> None:
        self._env = SyncVectorEnv(
            [lambda seed=seed: RecEnv(task, seed=seed) for seed in range(users)],  # type: ignore[misc]
            autoreset_mode=AutoresetMode.SAME_STEP,
        )
        self.render_mode = None
        super().__init__(users, self._env.single_observation_space, self._env.single_action_space)

    def reset(self) -> Any:
        """Start all users anew."""
        return self._env.reset()[0]

    def step_async(self, actions: np.ndarray) -> None:
        """Take the actions."""
        self._actions = actions

    def step_wait(self) -> tuple[Any, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Step all users, one by one."""
        observation, reward, terminated, truncated, info = self._env.step(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for row in np.flatnonzero(terminated | truncated):
            infos[row] = {"terminal_observation": info["final_obs"][row], "TimeLimit.truncated": bool(truncated[row])}
        return observation, reward.astype(np.float32), terminated | truncated, infos

    def close(self) -> None:
        """Release the environments."""
        self._env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Not known of any user."""
        raise AttributeError(attr_name)

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Nothing can be set."""

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """No method is offered."""
        raise AttributeError(method_name)

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Not wrapped."""
        return [False] * self.num_envs


def world(users: int = 100) -> tuple[Task, FittedEncoder]:
    """Users learned from so many, and an encoder of what they do."""
    simulator = members(users, 1)[0]
    task = make_task("recgym/LearnedUsers-v0", {"simulator": simulator, "slate_size": SLATE})
    schema = task.model.schema
    scale = FeedbackScale.of(torch.rand(100, len(schema), generator=torch.Generator().manual_seed(0)))
    catalogue = Catalogue(task.model.num_items, np.ones(task.model.num_items, np.int64), scale, timed=True)
    config = SASRecConfig(
        width=64, blocks=2, heads=2, window=WINDOW, rotary=True, events=EventConfig(feedback=True, gaps=True)
    )
    with seeded(0, "encoder weights"):
        model = config.build(catalogue).eval()
    return task, FittedEncoder("sasrec", config, catalogue, model, simulator.item_ids, schema.names)


def _ppo(env: VecEnv, task: Task, rollouts: int) -> float:
    """User-steps per second of learning."""
    config = replace(PPOConfig(), n_steps=ROLLOUT, batch_size=USERS * ROLLOUT // 4)
    model: Any = config.build(task, env, 0, "cpu", None)
    model.learn(USERS * ROLLOUT)
    start = time.perf_counter()
    model.learn(USERS * ROLLOUT * rollouts)
    return USERS * ROLLOUT * rollouts / (time.perf_counter() - start)


def loop(task: Task, encoder: FittedEncoder, rollouts: int, repeats: int) -> list[Ratio]:
    """PPO on a batch of users, beside PPO on single users one after the other."""
    encoded = encoded_task(task, encoder)
    ours = lambda: _ppo(SB3VecEnv(encoded, USERS, seed=0), encoded, rollouts)  # noqa: E731
    theirs = lambda: _ppo(OneByOne(encoded, USERS), encoded, 1)  # noqa: E731
    return [paired("PPO on encoded learned users", "SyncVectorEnv, one encoder a user", USERS, ours, theirs, repeats)]


def growing(task: Task, encoder: FittedEncoder, lengths: tuple[int, ...], steps: int) -> tuple[list[Length], float]:
    """Time of a step while the histories grow, and how far scores then are from those of the whole history."""
    encoded = encoded_task(replace(task, horizon=None, level="session"), encoder)
    simulation = Simulation(encoded, USERS, device="cpu", seed=0)
    simulation.reset(0)
    generator = torch.Generator().manual_seed(0)
    rows = []
    for length in lengths:
        while int(simulation.steps.min()) < length:
            _step(simulation, generator)
        times = []
        for _ in range(steps):
            start = time.perf_counter()
            _step(simulation, generator)
            times.append(time.perf_counter() - start)
        rows.append(Length(length, statistics.median(times)))
    return rows, _gap(encoder)


def _step(simulation: Simulation, generator: torch.Generator) -> None:
    """One step of all users, those who have left included: that they stay keeps the sessions long."""
    count = simulation.task.sizes.num_candidates
    first = torch.randint(count, (USERS, 1), generator=generator)
    simulation.step((first + torch.arange(SLATE)) % count)
    simulation.observation()


def _gap(encoder: FittedEncoder) -> float:
    """The largest difference of item scores between going on step by step, far beyond the window, and starting anew."""
    generator, model = torch.Generator().manual_seed(1), encoder.model
    users, events, n = 64, 4 * WINDOW, model.num_items
    items = torch.randint(n, (users, events), generator=generator)
    feedback = torch.rand((users, events, model.encoder.events.channels), generator=generator)
    time_s = torch.rand((users, events), generator=generator, dtype=torch.float64).cumsum(1) * 60
    history = History(items, feedback, time_s, torch.ones_like(items, dtype=torch.bool))
    with torch.no_grad():
        batch = Batch.from_history(history)
        state = model.encoder.start(Batch.from_history(History(*(part[:, :1] for part in history))))
        for t in range(1, events):
            event = Event(items[:, t], time_s[:, t], feedback[:, t])
            state, _ = model.encoder.step(state, event)
        whole = model.encoder(batch)[:, -1]
        return float((model.scores_of(state.state[:, None]) - model.scores_of(whole[:, None])).abs().max())


def run(quick: bool, repeats: int) -> dict[str, Any]:
    """All rows, ratios, and what they say of the aims."""
    torch.set_num_threads(1)
    task, encoder = world()
    ratios = loop(task, encoder, 1 if quick else 4, 1 if quick else repeats)
    lengths = (5, 2 * WINDOW) if quick else (5, WINDOW // 2, WINDOW, 2 * WINDOW, 4 * WINDOW)
    rows, gap = growing(task, encoder, lengths, 5 if quick else 30)
    return machine() | {
        "rows": [asdict(row) for row in rows], "ratios": [asdict(ratio) for ratio in ratios], "scores_apart": gap,
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the result; returns 0."""
    parser = options("encoder_loop", __doc__)
    parser.add_argument("--repeats", type=int, default=3, help="pairs of runs")
    args = parser.parse_args(arguments)
    if not hasattr(gymnasium.vector, "AutoresetMode"):
        parser.error(
            f"users must restart in the step they end in: SyncVectorEnv of gymnasium 1.1 or newer, not "
            f"{gymnasium.__version__}"
        )
    body = run(args.quick, args.repeats)
    lines = [f"a step after {row['steps']:4} of a session {1000 * row['seconds']:8.2f} ms" for row in body["rows"]]
    lines.append(f"scores beyond the window: at most {body['scores_apart']:.1e} from those of the whole history")
    ratios = [str(Ratio(**ratio)) for ratio in body["ratios"]]
    return finish("encoder_loop", body, args, "\n".join([*lines, *ratios]))


if __name__ == "__main__":
    raise SystemExit(main())
