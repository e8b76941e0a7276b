"""The settings of a learned simulator."""

from dataclasses import dataclass, fields

__all__ = ["LearnedConfig"]


@dataclass(frozen=True)
class LearnedConfig:
    """How users are learned from a log.

    Attributes:
        hidden: width H of the user state and of the response network.
        item_width: width D of the item embeddings.
        history: T, the events that a system keeps on record of a user. The training windows are warmed up with as
            many, so that the network is at home with a state that was encoded from T events.
        window: events a training window covers beyond its warm-up.
        item_dropout: probability of showing the network the unknown item in place of an item, which is how it learns
            what to expect of items without a past.
        min_item_rows: items with fewer rows in the training log share the unknown item's embedding.
        dropout: dropout in the response network.
        learning_rate: step size of AdamW at the start; it falls to a tenth along a cosine over ``max_epochs``.
        weight_decay: decoupled weight decay of all weights but biases.
        embedding_decay: the same for the item embeddings, of which most have few rows to learn from.
        batch_windows: training windows in a batch at most; small logs are cut into 150 batches a pass.
        max_epochs: passes over the log at most.
        patience: passes without a better validation loss before training stops.
        validation_fraction: share of the log, last in time, that training never sees: it stops training and calibrates.
        negatives: items sampled as passed over for each consumption, where the log does not say what was.
        session_gap_s: a pause longer than this starts a new session, where the log has no sessions.
        mean_session_steps: mean session length of simulated users if the log has no times to learn it from.
        max_snapshots: logged session starts kept, from which simulated users are drawn.
    """

    hidden: int = 64
    item_width: int = 32
    history: int = 20
    window: int = 50
    item_dropout: float = 0.3
    min_item_rows: int = 5
    dropout: float = 0.1
    learning_rate: float = 3e-3
    weight_decay: float = 1e-3
    embedding_decay: float = 0.1
    batch_windows: int = 32
    max_epochs: int = 12
    patience: int = 3
    validation_fraction: float = 0.1
    negatives: int = 4
    session_gap_s: float = 1800.0
    mean_session_steps: float = 10.0
    max_snapshots: int = 10_000

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is int and value < 1:
                raise ValueError(f"{field.name} must be at least 1, found {value}")
        for name in ("item_dropout", "dropout", "validation_fraction"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, found {getattr(self, name)}")
        if self.validation_fraction == 0:
            raise ValueError("validation_fraction must be above 0: without a validation tail nothing stops training")
        if self.mean_session_steps < 1:
            raise ValueError(f"mean_session_steps must be at least 1, found {self.mean_session_steps}")
