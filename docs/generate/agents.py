"""One page an agent: what it can be used for is found out by building it, the rest is in its docstrings."""

import importlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from docs.generate.markdown import ROOT, autodoc, command, table, toctree
from recgym.agents import bandits
from recgym.agents.loading import CONFIGS, make_agent, offline_configs
from recgym.agents.offline import OfflineAgent, problem_of
from recgym.arrays import to_numpy
from recgym.envs import Simulation, Task, make_task
from recgym.seeding import make_generator

__all__ = ["USES", "can_be_used", "pages"]

_RETENTION, _VIDEO = "recgym/Retention-v0", "recgym/ShortVideo-v0"
USES: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "one item a step": (
        (_VIDEO, {}),
        (_RETENTION, {}),
        ("recgym/InterestEvolution-v0", {"slate_size": 1, "num_documents": 100}),
    ),
    "slates": (
        (_VIDEO, {"slate_size": 2}),
        (_RETENTION, {"slate_size": 2}),
        ("recgym/InterestEvolution-v0", {"slate_size": 2, "num_documents": 100}),
    ),
    "preference vectors (continuous)": ((_VIDEO, {"action": "preference"}), (_RETENTION, {"action": "preference"})),
}
"""Kinds of actions, each with environments; an agent that can learn one of them can be used for the kind."""

_RESULTS = {
    "ppo": "encoders", "recurrent-ppo": "sim2rec", "sim2rec": "sim2rec", "slateq": "slateq", "bc": "offline",
    "dt": "dt4ier", "dt4ier": "dt4ier", "tscac": "tscac", "a2c-weighted": "tscac", "rcpo": "tscac",
    "ppo-lagrangian": "tscac", "pareto": "tscac",
}  # fmt: skip

_INTRODUCTION = """# Agents

An agent is a frozen dataclass of settings beside its algorithm; the class that learns follows from where it learns.

| it learns | class | from the shell |
| --- | --- | --- |
| on simulated users | {py:class}`~recgym.agents.SB3Agent`, {py:class}`~recgym.agents.RecurrentPPO` or \
{py:class}`~recgym.agents.OnlineAgent`; {py:func}`~recgym.agents.make_agent` knows which | \
`recgym train --env ID --agent NAME` |
| from a log | {py:class}`recgym.agents.OfflineAgent` | `recgym train --log DIR --agent NAME` |
| as it serves | {py:class}`recgym.agents.bandits.BanditPolicy` | |

Every one gives a {py:class}`~recgym.agents.Policy` that sees observations only and says how likely each choice was.
The table was made by building every agent on environments of each kind.

"""


def pages() -> dict[str, str]:
    """Page name -> text."""
    online, offline = dict(CONFIGS), offline_configs("")
    rows, made = [], {}
    for name in online | offline:
        facts = can_be_used(name)
        rows.append([f"[`{name}`]({name}.md)", *("yes" if facts[key] == "" else "no" for key in USES),
                     "a log" if name in offline else "simulated users", _memory(name)])  # fmt: skip
        made[f"agents/{name}.md"] = _page(name, facts, name in offline)
    columns = ["agent", *USES, "learns from", "memory"]
    index = _INTRODUCTION + table(columns, rows) + "\n" + toctree([*online, *offline, "bandits", "d3rlpy"], hidden=True)
    return {"agents/index.md": index, "agents/bandits.md": _bandits(), "agents/d3rlpy.md": _d3rlpy()} | made


@cache
def _tasks(use: str) -> tuple[Task, ...]:
    return tuple(make_task(env, settings) for env, settings in USES[use])


def _build(config: type[Any], task: Task) -> Any:
    """The agent for a task; a ``ValueError`` if it cannot learn it."""
    if hasattr(config, "learner") and config.name not in CONFIGS:
        return OfflineAgent(config(), problem_of(task), to_numpy(task.model.item_features))
    return make_agent(config(), task, num_envs=8)


def _config(name: str) -> type[Any]:
    return CONFIGS[name] if name in CONFIGS else offline_configs(name)[name]


@cache
def can_be_used(name: str) -> dict[str, str]:
    """Kind of action -> why an agent cannot be used for it; empty if it can."""
    found = {}
    for use in USES:
        refusals = []
        for task in _tasks(use):
            try:
                _build(_config(name), task)
            except ValueError as error:
                refusals.append(str(error).partition("\n")[0])
        found[use] = "" if len(refusals) < len(_tasks(use)) else refusals[0]
    return found


@cache
def _first(name: str) -> tuple[str, dict[str, Any], Task, Any]:
    """The first environment that an agent can learn, and the agent."""
    for use, facts in USES.items():
        for (env, settings), task in zip(facts, _tasks(use), strict=True):
            try:
                return env, settings, task, _build(_config(name), task)
            except ValueError:
                continue
    raise ValueError(f"{name} can learn none of the environments that are tried")


def _memory(name: str) -> str:
    state = _first(name)[3].policy().init_state(1, "cpu")
    return "yes" if len(state) else "no"


def _judged(name: str) -> bool:
    """Whether its policy can tell how likely it would have been to choose what was logged."""
    _, _, task, agent = _first(name)
    policy = agent.policy()
    if not hasattr(policy, "log_prob"):
        return False
    simulation = Simulation(task, 4, seed=0)
    simulation.reset()
    seen, generator = simulation.observation(), make_generator(0, "policy")
    decision, _ = policy.act(seen, policy.init_state(4, "cpu"), generator)
    return bool(decision.log_propensity.isfinite().all())


def _page(name: str, facts: dict[str, str], offline: bool) -> str:
    env, settings, _, _ = _first(name)
    rows = [[use, "no: " + why if why else "yes"] for use, why in facts.items()]
    rows += [
        ["learning on simulated users", "no" if offline else "yes"],
        ["learning from a log", "yes" if offline else "no"],
        ["a memory of its own (recurrent)", _memory(name)],
        ["being judged on a log of another policy (`recgym ope`)", "yes" if _judged(name) else "no"],
    ]
    text = f"# {name}\n\n" + _training(name, env, settings, offline)
    text += "\n## Can I use it for ...?\n\n" + table(["use", "possible"], rows)
    return text + "\n## What it does\n\n" + _documentation(_config(name)) + _result(name)


def _training(name: str, env: str, settings: dict[str, Any], offline: bool) -> str:
    flags = "".join(f" {key}={value}" for key, value in settings.items())
    kwargs = f" --env-kwargs{flags}" if flags else ""
    if not offline:
        return command(f"recgym train --env {env}{kwargs} --agent {name} --steps 200000 --out runs/{name}")
    return command(
        f"recgym record --env {env}{kwargs} --out runs/log",
        f"recgym train --log runs/log --agent {name} --updates 2000 --out runs/{name}",
    )


def _documentation(config: type[Any]) -> str:
    """The module's text, then the algorithm where it is a class of its own, then the settings."""
    module = importlib.import_module(config.__module__)
    # A docstring of one sentence says no more than what follows.
    several = "\n\n" in (module.__doc__ or "").strip()
    text = autodoc("automodule", module.__name__, "no-members", "no-index") if several else ""
    name = config.__name__.removesuffix("Config")
    found = getattr(module, name, None) or getattr(importlib.import_module(module.__package__ or ""), name, None)
    if isinstance(found, type) and found.__module__.startswith("recgym"):
        text += "\n" + autodoc("autoclass", f"{found.__module__}.{name}", "no-index")
    return text + "\n## Settings\n\n" + autodoc("autoclass", f"{config.__module__}.{config.__name__}", "no-index")


def _result(name: str) -> str:
    result = _RESULTS.get(name, name)
    if not (ROOT / "reproductions" / "results" / f"{result}.json").is_file():
        return ""
    return f"\n## Results\n\nClaims, intervals and the command: [{result}](../reproductions/{result}.md).\n"


def _bandits() -> str:
    rows = [[f"{{py:class}}`~recgym.agents.bandits.{kind.__name__}`", _summary(kind)] for kind in _kinds()]
    text = "# Bandits\n\n" + autodoc("automodule", "recgym.agents.bandits", "no-members", "no-index")
    text += "\n## Can I use it for ...?\n\n" + table(
        ["use", "possible"],
        [
            ["one item a step", "yes"],
            ["slates", "yes, those whose name says so: ranked, cascade, top-K"],
            ["preference vectors (continuous)", "no"],
            ["learning on simulated users, as it serves", "yes"],
            ["learning from a log", "by replay: {py:func}`recgym.agents.bandits.replay`"],
            ["many independent replications at once", "yes"],
        ],
    )
    text += "\n## All of them\n\n" + table(["bandit", "what it is"], rows)
    return text + _result("bandits")


def _kinds() -> Iterator[type[Any]]:
    for name in bandits.__all__:
        kind = getattr(bandits, name)
        if isinstance(kind, type) and hasattr(kind, "init_state") and hasattr(kind, "update") and kind.__doc__:
            if not getattr(kind, "_is_protocol", False):
                yield kind


def _summary(kind: type[Any]) -> str:
    return str(kind.__doc__).strip().partition("\n\n")[0].replace("\n", " ").replace("``", "`")


def _d3rlpy() -> str:
    path = Path("recgym") / "agents" / "d3rlpy"
    text = (
        "# d3rlpy\n\nAlgorithms of [d3rlpy](https://github.com/takuseno/d3rlpy) learn from the same logs and serve the "
        "same environments. They need the extra: `pip install 'recgym[offline]'` (d3rlpy allows gymnasium 1.0.0 at "
        f"most). The bridge is `{path}`.\n\n"
    )
    text += command(
        "recgym record --env recgym/ShortVideo-v0 --out runs/log",
        "recgym train --log runs/log --agent d3rlpy-iql --updates 2000 --out runs/iql",
    )
    names = {
        "d3rlpy-discrete-bc": "items", "d3rlpy-discrete-cql": "items", "d3rlpy-discrete-bcq": "items",
        "d3rlpy-discrete-dt": "items", "d3rlpy-bc": "preference vectors", "d3rlpy-iql": "preference vectors",
        "d3rlpy-td3-bc": "preference vectors", "d3rlpy-cql": "preference vectors",
        "d3rlpy-rebrac": "preference vectors", "d3rlpy-dt": "preference vectors",
    }  # fmt: skip
    text += "\n" + table(["agent", "actions"], [[f"`{name}`", kind] for name, kind in names.items()])
    return text + (
        "\nThose of preference vectors also serve environments that show items: they rank the candidates by the dot "
        "product with their features. d3rlpy's own files are pickles; load only those that you trust. recgym's "
        "checkpoints of these agents are safetensors and JSON.\n"
    )
