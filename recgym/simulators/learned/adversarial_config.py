"""The settings of adversarial refinement, and what its checks find."""

from dataclasses import dataclass, fields

__all__ = ["AdversarialConfig", "AdversarialRound"]


@dataclass(frozen=True)
class AdversarialConfig:
    """How a fitted simulator is refined.

    Attributes:
        rounds: rounds at most; in each, sessions are played and everybody learns from them.
        head_start: rounds before, in which only the discriminator learns.
        sessions: sessions that the network plays and learns from in a round, and the discriminator from as many others.
        max_steps: steps after which played and real sessions are cut.
        learning_rate: step size of the network (Adam).
        epochs: steps of the network in a round.
        clip: e, how far the chance of an action may move in a round before it is no longer pushed on.
        discount: gamma.
        most_reward: c.
        anchor: w, weight of the likelihood.
        averaging: share of the running mean of the network's weights that is kept at each round. The mean is what is
            checked and given back: the network itself swings around where it is going.
        discriminator_rate: step size of the discriminator; 0 leaves it saying "as likely real as played".
        discriminator_epochs: steps of the discriminator in a round.
        discriminator_decay: its decoupled weight decay.
        width: of its layers.
        check_every: rounds between checks on the validation tail.
        checked_sessions: sessions in a check at most, of the tail and, to learn from, of the training part.
        copies: how often each session of the tail is played in a check.
        patience: checks without a lower AUC before it stops.
        most_worse: share by which the negative log-likelihood of the tail, of answers and of leaving, may rise.
        least_gain: by how much the AUC must fall for anything to be changed.
    """

    rounds: int = 60
    head_start: int = 5
    sessions: int = 512
    max_steps: int = 50
    learning_rate: float = 1e-3
    epochs: int = 4
    clip: float = 0.2
    discount: float = 0.5
    most_reward: float = 3.0
    anchor: float = 1.0
    averaging: float = 0.8
    discriminator_rate: float = 3e-3
    discriminator_epochs: int = 12
    discriminator_decay: float = 1e-2
    width: int = 32
    check_every: int = 5
    checked_sessions: int = 2000
    copies: int = 4
    patience: int = 5
    most_worse: float = 0.01
    least_gain: float = 0.01

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is int and value < (least := 0 if field.name == "head_start" else 1):
                raise ValueError(f"{field.name} must be at least {least}, found {value}")
            if field.type is float and value < 0:
                raise ValueError(f"{field.name} must not be negative, found {value}")
        if not 0 < self.clip < 1 or self.discount > 1:
            raise ValueError(
                f"clip must lie between 0 and 1 and discount be at most 1, found {self.clip} and {self.discount}"
            )


@dataclass(frozen=True)
class AdversarialRound:
    """A check on the validation tail.

    Attributes:
        number: rounds so far; 0 is the warm start.
        auc: with which real and played sessions are told apart.
        answers: negative log-likelihood of answers, a shown item.
        leaving: the same of leaving or staying, a step.
        steps: mean length of played sessions.
        real_steps: mean length of real ones.
    """

    number: int
    auc: float
    answers: float
    leaving: float
    steps: float
    real_steps: float
