"""One page an environment, from Gymnasium's registry, the docstring of its task and the spaces that it has."""

import importlib
from typing import Any

import gymnasium as gym

import recgym  # noqa: F401 - registers the environments
from docs.generate.markdown import autodoc, figure, results, table, toctree
from recgym.cli.envs import NEEDS
from recgym.envs import make_task, registered

__all__ = ["pages"]

_INTRODUCTION = """# Environments

Every environment is simulated users, items, a reward and the end of an episode. All have the same three faces:

```python
import gymnasium as gym
import recgym
from recgym.envs import SB3VecEnv, make_task

one = gym.make("recgym/ShortVideo-v0")                                   # one user, Gymnasium's step and reset
many = gym.make_vec("recgym/ShortVideo-v0", num_envs=256,                # many users, one call a step
                    vectorization_mode="vector_entry_point")
sb3 = SB3VecEnv(make_task("recgym/ShortVideo-v0", {}), num_envs=256)     # for Stable-Baselines3
```

Any environment takes `device=`, `seed=` and `encoder=` (a fitted sequence encoder through which users are seen) beside
the settings on its page. `recgym envs list` prints this table; `recgym envs check` runs the contract checks.

"""


def pages() -> dict[str, str]:
    """Page name -> text."""
    ids = registered()
    rows = [[f"[`{env_id}`]({_file(env_id)})", _first_sentence(_task_function(env_id)[1])] for env_id in ids]
    index = _INTRODUCTION + table(["environment", "what it is"], rows) + "\n"
    index += toctree([_file(env_id) for env_id in ids], hidden=True)
    speeds = results("benchmarks/results").get("env_speed", {})
    return {"environments/index.md": index} | {f"environments/{_file(i)}.md": _page(i, speeds) for i in ids}


def _file(env_id: str) -> str:
    return env_id.partition("/")[2]


def _task_function(env_id: str) -> tuple[str, Any]:
    """Dotted name of the function that makes the task, and the function: it stands beside the entry point."""
    module, _, name = str(gym.spec(env_id).entry_point).partition(":")
    function = f"{name.removesuffix('env')}task"
    return f"{module}.{function}", getattr(importlib.import_module(module), function)


def _first_sentence(function: Any) -> str:
    return str(function.__doc__).strip().partition("\n")[0]


def _page(env_id: str, speeds: dict[str, Any]) -> str:
    name, _ = _task_function(env_id)
    text = f"# {env_id}\n\n" + autodoc("autofunction", name)
    if env_id in NEEDS:
        return text + f"\nIt cannot be made without files: for `recgym envs check` {NEEDS[env_id][1]}.\n"
    return text + _spaces(env_id) + _speed(env_id, speeds)


def _spaces(env_id: str) -> str:
    task = make_task(env_id, {})
    env = gym.make(env_id)
    seen = env.observation_space
    parts = seen.spaces.items() if isinstance(seen, gym.spaces.Dict) else [("observation", seen)]
    rows = [["action", f"`{env.action_space}`"], *([name, f"`{_space(space)}`"] for name, space in parts)]
    channels = ", ".join(
        f"`{c.name}` ({c.kind.value}{', ' + c.unit if c.unit else ''})" for c in task.model.schema.channels
    )
    rows += [["feedback", channels], ["items", f"{task.model.num_items:,}, {task.num_candidates:,} on offer"]]
    return "\n## As it is made by default\n\n" + table(["part", "what it is"], rows)


def _space(space: gym.Space[Any]) -> str:
    """A space without the bounds of every element."""
    return f"Box{space.shape} {space.dtype}" if isinstance(space, gym.spaces.Box) else str(space)


def _speed(env_id: str, speeds: dict[str, Any]) -> str:
    rows = [row for row in speeds.get("rows", []) if row["env"] == env_id and row["face"] == "gymnasium"]
    if not rows:
        return ""
    cells = [[figure(row["B"]), figure(row["steps_per_s"])] for row in rows]
    machine = f"{speeds['processor']}, {speeds['torch_threads']} thread of torch"
    return (
        f"\n## Speed\n\nUser-steps a second with a random policy, through Gymnasium's face ({machine}; "
        f"`{speeds['command']}`).\n\n" + table(["users side by side", "user-steps a second"], cells)
    )
