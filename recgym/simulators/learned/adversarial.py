"""Adversarial refinement: a fitted simulator plays sessions against a discriminator that knows the log's.

Likelihood teaches users one answer at a time, each after a past that really happened. Simulated users live in a past
of their own making, in which small errors add up: sessions too long or too short, too even or too full. Here the
fitted network (the warm start) goes on where logged sessions began, is shown the logged slates, and is rewarded for
sessions that a discriminator takes for real.

Sources: MAIL, the customers' side of Virtual-Taobao (arXiv 1805.10000); GAIL (arXiv 1606.03476); rewards that are
log-odds from AIRL (arXiv 1710.11248), and why others pay for survival from discriminator-actor-critic
(arXiv 1809.02925); the clipped step from PPO (arXiv 1707.06347); the running mean of the weights from
arXiv 1806.04498.

The discriminator looks three times at each step t of a session: at what has been up to its beginning, then with the
answers to the slate, then with leaving or staying. It gives log-odds that add up,

    logit D_begin = p_t,    logit D_answered = p_t + a_t,    logit D_ended = p_t + a_t + l_t,

and minimises, over as many real sessions as played ones and over all looks,

    - sum_real log D - sum_played log (1 - D).

At its best ``p_t`` says how many such steps real sessions have for each that played ones have, and what is left for
``a_t`` and ``l_t`` are the logarithms of real over played chances of the answers, and of leaving or staying, in that
situation. These are the rewards, clipped to [-c, c]. Advantages run back through the session,

    A(answers_t) = a_t + gamma A(leave_t),    A(leave_t) = l_t + gamma A(answers_(t+1)),

and the network descends on the sum over both kinds of moves of

    - mean_t min(q_t A_t, clip(q_t, 1 - e, 1 + e) A_t),    q_t = p_new(move_t) / p_played(move_t),

and on w times the loss a step of the fit, on as many real sessions: the anchor.

Differences from Virtual-Taobao:

1. The reward is the log-odds. ``-log`` of the chance of being played is positive at every step, and pays users who are
   already right for staying longer.
2. The discriminator is recurrent, sees the session so far, and pays a move only for what it adds: what came of earlier
   moves, and of the slates, is in ``p_t``, which so stands in for a critic. There it sees a state and an action.
3. Only users are learned. The platform's side is not: real slates are shown, those of the same session while it
   lasted, then some that were shown to anybody next. There the engine's policy is learned together with the customers.
4. The network begins at the likelihood fit and is anchored to it.
5. The steps are clipped ones as in PPO, in place of TRPO's.
6. GAN-SD, the generator of customers, is left out: users come from the log, see
   :mod:`recgym.simulators.learned.newcomers`.
7. What moves is how users answer and leave (temper included). How their state moves, and item vectors, stay, so that
   the logged states that users start from stay true. The return head is fitted anew to the new temper.
8. The discriminator does not see times: the length of a step is not drawn by the network.
9. Discriminator and network learn from different sessions of a round, and the running mean of the network counts.
10. The network with the lowest AUC of a classifier of its own (real against played sessions of the validation tail) is
    kept, among those whose likelihood of the tail is not worse by more than a bound; if none lowers it by
    ``least_gain``, the fitted simulator is given back as it was.

What it cannot do: draw from outside the network's family. Where answers to the items of a slate depend on each other
(each logged slate has exactly one click, say), independent draws stay easy to tell from real ones, however trained.
And where simulated users have less time than real ones, right lengths of sessions cost likelihood of leaving at the
real times: ``most_worse`` says how much of that may be paid.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch

from recgym.data.schema import InteractionLog
from recgym.seeding import child_seed, make_generator
from recgym.simulators.learned.adversarial_config import AdversarialConfig, AdversarialRound
from recgym.simulators.learned.adversarial_rounds import Learners, play_round
from recgym.simulators.learned.adversarial_stage import Stage, some
from recgym.simulators.learned.adversarial_views import tell_apart
from recgym.simulators.learned.fitted import FittedSimulator
from recgym.simulators.learned.network import ResponseNetwork
from recgym.simulators.learned.returns import fit_returning, observed_pauses
from recgym.simulators.learned.sessions import step_seconds
from recgym.simulators.learned.threads import one_thread

__all__ = ["AdversarialConfig", "AdversarialRound", "refine_adversarially"]


@one_thread()
def refine_adversarially(
    fitted: FittedSimulator,
    log: InteractionLog,
    config: AdversarialConfig | None = None,
    seed: int = 0,
    progress: Callable[[AdversarialRound], None] | None = None,
) -> FittedSimulator:
    """Refine a fitted simulator against a discriminator; see the module for how.

    Sessions of the training part of the log teach; those of the validation tail, the same as in the fit, decide which
    network is kept; nothing after the log is touched.

    Args:
        fitted: the warm start, which is not changed.
        log: the log that it was fitted to.
        config: settings.
        seed: root seed; the same seed, simulator and log give the same result on the same machine.
        progress: called after each check.

    Returns:
        A simulator of the same format, without a fidelity gate's outcome; its report's last note says what was done.
        If no network was better on the tail, the simulator as it was, with a note that says so.

    Raises:
        ValueError: the log has no slates or no times, is not the one that the simulator was fitted to, or has fewer
            than 50 whole sessions in its training part or validation tail.
    """
    config = config or AdversarialConfig()
    stage = Stage.of(fitted, log, config.max_steps)
    start = _check(fitted.network, stage, config, 0, seed)
    if progress is not None:
        progress(start)
    kept, network = start, fitted.network
    for check, candidate in _candidates(stage, config, seed):
        if progress is not None:
            progress(check)
        if _better(check, kept, start, config):
            kept, network = check, copy.deepcopy(candidate)
        elif check.number - kept.number >= config.patience * config.check_every:
            break
    gained = kept is not start and start.auc - max(kept.auc, 0.5) >= config.least_gain
    report = replace(fitted.report, notes=(*fitted.report.notes, _note(start, kept if gained else start)))
    if not gained:
        return replace(fitted, report=report)
    network.requires_grad_(True)
    _refit_return(network, stage, seed)
    return replace(fitted, network=network.eval(), report=report, gate_failed=())


def _candidates(
    stage: Stage, config: AdversarialConfig, seed: int
) -> Iterator[tuple[AdversarialRound, ResponseNetwork]]:
    """Play round after round; at each check, what it found and the running mean of the network."""
    network = copy.deepcopy(stage.warm.network).eval()
    mean = copy.deepcopy(network)
    learners = Learners.of(network, stage, config, seed)
    for number in range(1 - config.head_start, config.rounds + 1):
        play_round(learners, stage, config, number, seed)
        _average(mean, network, config.averaging)
        if number > 0 and number % config.check_every == 0:
            yield _check(mean, stage, config, number, seed), mean


def _better(
    check: AdversarialRound, kept: AdversarialRound, start: AdversarialRound, config: AdversarialConfig
) -> bool:
    """Whether the AUC is lower and the likelihood within the bound; an AUC below 0.5 is nothing but chance."""
    bound = 1 + config.most_worse
    within = check.answers <= start.answers * bound and check.leaving <= start.leaving * bound
    return within and max(check.auc, 0.5) < max(kept.auc, 0.5)


def _refit_return(network: ResponseNetwork, stage: Stage, seed: int) -> None:
    """Fit the return head to the temper as it is now."""
    if network.shape.gaps == 0:
        return
    behaviour, warm = stage.data.behaviour, stage.warm
    spent = step_seconds(behaviour, warm.sessions.base_step_s)
    pauses = observed_pauses(behaviour, stage.labels, spent, warm.facts.end_time)
    fit_returning(network, pauses, stage.states[1], stage.ends, behaviour.step_user, warm.config, seed)


def _note(start: AdversarialRound, kept: AdversarialRound) -> str:
    if kept is start:
        return (
            f"adversarial refinement changed nothing: the AUC of real against played sessions, {start.auc:.3f} on the"
            " validation tail, could not be lowered within the bound on the likelihood"
        )
    return (
        f"refined against a discriminator for {kept.number} rounds; on the validation tail: AUC of real against played "
        f"sessions {start.auc:.3f} before, {kept.auc:.3f} after; mean session length {start.steps:.2f}, "
        f"{kept.steps:.2f}, in the log {kept.real_steps:.2f}; negative log-likelihood of answers {start.answers:.4f}, "
        f"{kept.answers:.4f}, of leaving {start.leaving:.4f}, {kept.leaving:.4f}"
    )


@torch.no_grad()
def _average(mean: ResponseNetwork, network: ResponseNetwork, kept: float) -> None:
    """Move the running mean of the weights on."""
    for average, weight in zip(mean.parameters(), network.parameters(), strict=True):
        average.lerp_(weight, 1 - kept)


@torch.no_grad()
def _check(
    network: ResponseNetwork, stage: Stage, config: AdversarialConfig, number: int, seed: int
) -> AdversarialRound:
    """Look at the validation tail; the same sessions and draws in every check."""
    draw = make_generator(seed, "sessions of a check", device="numpy")
    learn, told = (some(len(part), config.checked_sessions, draw) for part in (stage.train, stage.tail))
    known = tuple(stage.view(steps) for steps in (
        stage.real(stage.train, learn), stage.played(network, stage.train, learn, child_seed(seed, "check"), 0)
    ))  # fmt: skip
    real = stage.real(stage.tail, told)
    copies = np.tile(told, config.copies)
    played = stage.played(network, stage.tail, copies, child_seed(seed, "check"), 1)
    said = stage.ask(network, real)
    return AdversarialRound(
        number, tell_apart((known[0], known[1]), (stage.view(real), stage.view(played))),
        float(said.answers.sum()) / real.answers.shape[0], float(said.leaving.mean()),
        len(played) / copies.size, len(real) / told.size,
    )  # fmt: skip
