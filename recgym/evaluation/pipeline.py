"""The whole way: a log in; learned users, their fidelity, policies and what they are worth out."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from recgym.agents.base import Policy, RandomPolicy, ScoredPolicy, popularity_scores
from recgym.agents.sb3 import PPOConfig, SB3Agent
from recgym.data.describe import describe
from recgym.data.schema import InteractionLog
from recgym.data.splits import Split, split_by_time, split_each_user
from recgym.envs.making import make_task
from recgym.envs.task import Task
from recgym.evaluation.baselines import action_spec, greedy_by_model, item_popularity
from recgym.evaluation.fidelity import check_fidelity
from recgym.evaluation.oracle import OneStepOracle
from recgym.evaluation.rollout import rollout
from recgym.evaluation.truth import in_truth
from recgym.progress import Progress, Tick
from recgym.seeding import child_seed
from recgym.simulators.learned import FittedSimulator, LearnedConfig, fit, record_gate
from recgym.simulators.learned.training import Epoch

__all__ = ["PipelineConfig", "Truth", "run_pipeline"]

_ORACLE = "one-step oracle"


@dataclass(frozen=True)
class PipelineConfig:
    """How much of everything.

    Attributes:
        test_fraction: share of the log, last in time, that the simulator is checked on.
        learned: settings of the simulator.
        ppo: settings of PPO.
        train_steps: user-steps that PPO trains for.
        num_envs: users that PPO trains on side by side.
        users: users a seed in the evaluation.
        seeds: root seeds of the evaluation.
        seed: root seed of all else.
    """

    test_fraction: float = 0.2
    learned: LearnedConfig = field(default_factory=LearnedConfig)
    ppo: PPOConfig = field(default_factory=PPOConfig)
    train_steps: int = 200_000
    num_envs: int = 128
    users: int = 512
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    seed: int = 0


@dataclass(frozen=True)
class Truth:
    """The world that wrote the log, where it is known.

    Attributes:
        task: its users, with the same items, slates and candidates as the log.
        note: one sentence on where the log comes from.
    """

    task: Task
    note: str


@dataclass
class _Run:
    """The stages' times and remarks."""

    say: Callable[[str], None]
    progress: Progress | None
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str, remark: str) -> Iterator[None]:
        """Say what is going on, and time it."""
        self.say(remark)
        self.tell(Tick(_STAGES[name]))
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 2)

    def tell(self, tick: Tick) -> None:
        """Say how far it is."""
        if self.progress is not None:
            self.progress(tick)

    def each(self, name: str, policies: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Policies one by one, counted."""
        for done, (policy, made) in enumerate(policies.items()):
            self.tell(Tick(_STAGES[name], done, len(policies), "policies", policy))
            yield policy, made
        self.tell(Tick(_STAGES[name], len(policies), len(policies), "policies"))


_STAGES = {"fit": "fitting users", "check": "checking users", "train": "training", "evaluate": "evaluating",
           "truth": "evaluating on true users"}  # fmt: skip


def run_pipeline(
    log: InteractionLog,
    folder: Path,
    config: PipelineConfig | None = None,
    truth: Truth | None = None,
    say: Callable[[str], None] = lambda remark: None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Fit users to a log, check them on behaviour they have not seen, train on them, and compare policies.

    Policies: random, popularity, greedy by the model (sees observables only), PPO, and a one-step oracle that sees the
    hidden state. With a known truth, all are also rolled out there.

    Args:
        log: what a platform has on record.
        folder: gets ``simulator/`` and ``agent/``.
        config: how much of everything.
        truth: the world that the log came from, if it is known.
        say: told of each stage.
        progress: told how far each stage is.

    Returns:
        What JSON can hold: ``dataset``, ``fidelity`` (channel to ``auc``, ``ece``, ``baselines``, ...),
        ``session_length``, ``free_run``, ``gate``, ``policies`` (name to ``return``, ``low``, ``high``, ..., and
        ``oracle`` for one that sees hidden states), ``truth``, ``learning_curve``, ``seconds``, ``warnings``.
    """
    config = config or PipelineConfig()
    run = _Run(say, progress)
    split = _split(log, config.test_fraction)
    with run.stage("fit", f"Fitting users to {split.train.n_rows:,} rows"):
        fitted = fit(split.train, config.learned, config.seed, progress=lambda epoch: run.tell(_passed(epoch, config)))
        run.warnings.extend(fitted.report.notes)
        fitted.save(folder / "simulator")
    with run.stage("check", f"Checking them on {split.test.n_rows:,} rows they have not seen"):
        fidelity = check_fidelity(fitted, log, seed=config.seed).to_json()
        record_gate(folder / "simulator", tuple(fidelity["failures"]))
    task = _environment(folder / "simulator", truth, run)
    agent = SB3Agent(config.ppo, task, config.num_envs, child_seed(config.seed, "agent") % 2**31)
    with run.stage("train", f"Training PPO for {config.train_steps:,} steps on {config.num_envs} simulated users"):
        curve = agent.learn(config.train_steps, folder=folder / "agent", progress=progress)
    policies = _policies(split.train, fitted, task, agent.policy())
    with run.stage(
        "evaluate", f"Evaluating {len(policies) + 1} policies on {config.users * len(config.seeds):,} users"
    ):
        returns = _summaries(run.each("evaluate", {**policies, _ORACLE: OneStepOracle}), task, config)
    result: dict[str, Any] = {
        "dataset": describe(log).to_json(),
        "fidelity": fidelity["channels"],
        "session_length": fidelity.get("session_length", {}),
        "free_run": fidelity["free_run"] or {},
        "gate": {name: fidelity[name] for name in ("passed", "failures", "checks")},
        "policies": returns,
        "learning_curve": curve.to_json(),
        "seconds": run.seconds,
        "warnings": run.warnings,
    }
    if truth is not None:
        with run.stage("truth", "Evaluating the same policies on the true users"):
            served = {name: in_truth(policy, fitted, split.train) for name, policy in policies.items()}
            true = _summaries(run.each("truth", {**served, _ORACLE: OneStepOracle}), truth.task, config)
            result["truth"] = _compare(list(policies), returns, true, truth)
    return result


def _split(log: InteractionLog, fraction: float) -> Split:
    return split_each_user(log, fraction) if log.time_unit == "order" else split_by_time(log, fraction)


def _environment(simulator: Path, truth: Truth | None, run: _Run) -> Task:
    """The learned users as a registered environment, with the truth's slates and reward where it is known."""
    settings: dict[str, Any] = {"simulator": simulator}
    if truth is not None:
        settings |= {
            "slate_size": truth.task.slate_size,
            "num_candidates": truth.task.num_candidates,
            "reward": {"watch_time": 1.0},
            "horizon": 300,
        }
    return make_task("recgym/LearnedUsers-v0", settings, run.warnings.append)


def _policies(train: InteractionLog, fitted: FittedSimulator, task: Task, ppo: Policy[Any]) -> dict[str, Policy[Any]]:
    spec = action_spec(task)
    channel = next(iter(getattr(task.reward, "weights", {})), fitted.schema.names[fitted.plan.primary])
    return {
        "random": RandomPolicy(spec),
        "popularity": ScoredPolicy(spec, popularity_scores(item_popularity(train, channel))),
        "greedy by model": greedy_by_model(fitted, task),
        "PPO": ppo,
    }


def _summaries(policies: Iterable[tuple[str, Any]], task: Task, config: PipelineConfig) -> dict[str, Any]:
    """What each policy comes to; the oracle is marked."""
    found = {
        name: rollout(policy, task, users=config.users, seeds=config.seeds, greedy=True).summary()
        for name, policy in policies
    }
    found[_ORACLE]["oracle"] = True
    return found


def _passed(epoch: Epoch, config: PipelineConfig) -> Tick:
    note = f"loss {epoch.validation_loss:.4g} on the validation tail"
    return Tick(_STAGES["fit"], epoch.number, config.learned.max_epochs, "passes", note)


def _compare(
    names: list[str], returns: Mapping[str, Mapping[str, Any]], results: Mapping[str, Mapping[str, Any]], truth: Truth
) -> dict[str, Any]:
    """How far the learned users are from the true ones: the same policies, which see profiles as the log has them."""
    learned, true = ([table[name]["return"] for name in names] for table in (returns, results))
    tau = float(kendalltau(learned, true).statistic)
    gap = np.abs(np.asarray(learned) / np.asarray(true) - 1)
    text = (
        f"{truth.note} Returns with the learned users are off by {100 * gap.mean():.0f} % on average"
        f" ({100 * gap.max():.0f} % at most); the order of the {len(names)} policies agrees with Kendall's tau"
        f" {tau:.2f}."
    )
    return {"policies": results, "kendall_tau": tau, "text": text}
