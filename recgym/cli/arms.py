"""Policies that a command is told by words."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from recgym.abtest import Arm
from recgym.agents.base import GreedyPolicy, RandomPolicy, ScoredPolicy, popularity_scores
from recgym.agents.loading import load_trained
from recgym.cli.record import popularity
from recgym.envs import Task
from recgym.evaluation import OneStepOracle, action_spec

__all__ = ["named_arms", "policies"]


def named_arms(arms: Sequence[str]) -> dict[str, str]:
    """Names and words of ``NAME=POLICY``.

    Raises:
        ValueError: one is not of that form, a name is given twice, or there are fewer than two.
    """
    named: dict[str, str] = {}
    for arm in arms:
        name, equals, policy = arm.partition("=")
        if not name or not equals or not policy:
            raise ValueError(f"found the arm {arm!r}, expected NAME=POLICY, such as a=random")
        if name in named:
            raise ValueError(f"the arm {name!r} is given twice")
        named[name] = policy
    if len(named) < 2:
        raise ValueError(f"an experiment has at least two arms, found {len(named)}: give --arm twice or more")
    return named


def policies(named: Mapping[str, str], task: Task, seed: int, greedy: bool = False) -> dict[str, Arm]:
    """Arms from what was typed; the same words are the same policy.

    Args:
        named: arm -> random, popularity, oracle, or a folder of a trained agent.
        task: what they serve.
        seed: of the pilot from which popularity is taken.
        greedy: let trained agents take their likeliest action in place of a draw.

    Raises:
        ValueError: the task takes preference vectors and the words mean a policy for items, or a folder holds no agent
            for this task.
    """
    made: dict[str, Arm] = {}
    for words in dict.fromkeys(named.values()):
        if words in ("random", "popularity", "oracle") and task.action != "items":
            raise ValueError(f"{task.name} takes preference vectors: {words} cannot serve it, give folders of agents")
        match words:
            case "random":
                made[words] = RandomPolicy(action_spec(task))
            case "popularity":
                made[words] = ScoredPolicy(action_spec(task), popularity_scores(popularity(task, seed)))
            case "oracle":
                made[words] = OneStepOracle
            case _:
                made[words] = _trained(words, task, greedy)
    return {name: made[words] for name, words in named.items()}


def _trained(words: str, task: Task, greedy: bool) -> Arm:
    if not Path(words).is_dir():
        raise ValueError(
            f"found the policy {words!r}, expected random, popularity, oracle, or the folder of a trained agent"
        )
    policy = load_trained(words, task).policy()
    return GreedyPolicy(policy) if greedy else policy
