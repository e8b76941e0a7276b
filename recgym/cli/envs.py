"""``recgym envs``: the registered environments, and the contract checks on them."""

import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

__all__ = ["CheckEnvs", "ListEnvs"]

NEEDS = {
    "recgym/LearnedUsers-v0": ("simulator", "it needs the folder of a fitted simulator, --simulator DIR"),
    "recgym/OpenBandit-v0": ("data", "it needs one campaign of the Open Bandit Dataset, --data DIR"),
}
"""Environments that cannot be made without files: which flag names them, and what that is."""


@dataclass(frozen=True)
class ListEnvs:
    """Show the registered environments: their ids, spaces and what they are.

    Attributes:
        json: print one JSON object.
    """

    json: bool = False

    def run(self) -> int:
        """Print the list."""
        from recgym.cli.common import print_json, table
        from recgym.envs import registered

        rows = [_describe(env_id) for env_id in registered()]
        if self.json:
            print_json({"environments": rows})
        else:
            table(("id", "observation", "action", "what it is"), [tuple(row.values()) for row in rows])
        return 0


@dataclass(frozen=True)
class CheckEnvs:
    """Run Gymnasium's and recgym's contract checks on environments; exit status 1 if one fails.

    Attributes:
        ids: which environments; all that are registered if none is named.
        simulator: folder of a fitted simulator, for recgym/LearnedUsers-v0.
        data: one policy and campaign of the Open Bandit Dataset, such as random/all, for recgym/OpenBandit-v0.
        json: print one JSON object.
        quiet: no progress.
    """

    ids: tyro.conf.Positional[tuple[str, ...]] = ()
    simulator: Path | None = None
    data: Path | None = None
    json: bool = False
    quiet: bool = False

    def run(self) -> int:
        """Check, and print one row a check."""
        from recgym.cli.common import console, print_json, table

        ids, left_out = self._chosen()
        rows, err = [], console(self.quiet)
        for env_id in ids:
            err.print(f"checking {env_id}", markup=False, highlight=False)
            rows += self._check(env_id)
        if self.json:
            print_json({"checks": rows, "left_out": left_out})
        else:
            cells = [(row["env"], row["check"], row["error"] or "passed", row["seconds"]) for row in rows]
            table(("environment", "check", "result", "seconds"), cells)
            for entry in left_out:
                console().print(f"{entry['env']} was left out: {entry['reason']}", soft_wrap=True)
        return 0 if all(row["passed"] for row in rows) else 1

    def _chosen(self) -> tuple[list[str], list[dict[str, str]]]:
        """Ids to check; ids left out, with the reason."""
        from recgym.envs import registered

        legal = registered()
        for env_id in self.ids:
            if env_id not in legal:
                raise ValueError(f"there is no environment {env_id!r}; there are: {', '.join(legal)}")
        chosen = self.ids or legal
        lacking = [env_id for env_id in chosen if env_id in NEEDS and getattr(self, NEEDS[env_id][0]) is None]
        left_out = [{"env": env_id, "reason": NEEDS[env_id][1]} for env_id in lacking]
        if self.ids and left_out:
            raise ValueError(f"{left_out[0]['env']} cannot be checked: {left_out[0]['reason']}")
        return [env_id for env_id in chosen if env_id not in lacking], left_out

    def _check(self, env_id: str) -> list[dict[str, Any]]:
        import gymnasium as gym

        from recgym.envs import RecEnv
        from recgym.testing import environment_checks, run_checks, user_model_checks

        files = {"recgym/LearnedUsers-v0": {"simulator": self.simulator}, "recgym/OpenBandit-v0": {"path": self.data}}
        settings: dict[str, Any] = files.get(env_id, {})
        env = gym.make(env_id, **settings).unwrapped
        checks = environment_checks(env_id, **settings)
        if isinstance(env, RecEnv):
            checks += user_model_checks(env.task.model)
        return [
            {"env": env_id, "check": name, "passed": error is None, "error": error, "seconds": seconds}
            for name, error, seconds in run_checks(checks)
        ]


def _describe(env_id: str) -> dict[str, str]:
    import gymnasium as gym
    from gymnasium.envs.registration import load_env_creator

    entry_point = gym.spec(env_id).entry_point
    creator = load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point
    if env_id in NEEDS:
        spaces = (f"depends on the {NEEDS[env_id][0]}",) * 2
    else:
        env = gym.make(env_id)
        spaces = _space(env.observation_space), _space(env.action_space)
    return {"id": env_id, "observation": spaces[0], "action": spaces[1], "summary": _first_sentence(creator)}


def _space(space: Any) -> str:
    """A space in a few words: the bounds of real numbers are left out."""
    import gymnasium as gym

    if isinstance(space, gym.spaces.Dict):
        return ", ".join(f"{key}: {_space(part)}" for key, part in space.items())
    if isinstance(space, gym.spaces.Box):
        return f"Box{list(space.shape)} {space.dtype}"
    return str(space)


def _first_sentence(documented: Any) -> str:
    """The first sentence of a docstring, without its markup."""
    text = " ".join((inspect.getdoc(documented) or "").split("\n\n")[0].split())
    plain = re.sub(r":\w+:(?=`)|`", "", text)
    return plain.partition(". ")[0].removesuffix(".") + "." if plain else ""
