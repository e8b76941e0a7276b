"""Items and the feedback to them as alternating tokens, and candidates scored side by side against one history."""

from dataclasses import dataclass

import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor, nn

from recgym.encoders.base import Backbone, EncoderState, SequenceEncoder
from recgym.encoders.batch import Where
from recgym.encoders.items import lookup
from recgym.encoders.objectives import Step
from recgym.encoders.transformer.transformer import Caches, Transformer

__all__ = ["Answers", "Interleaved", "candidate_states", "score_candidates"]


class Interleaved(Backbone[Caches]):
    """A Transformer over ``item_0, feedback_0, item_1, feedback_1, ...`` (HSTU, arXiv 2402.17152, section 2.2).

    The state after an event is that at its feedback's token: from it the next item is foretold. At the item's token the
    feedback is not yet known: from there it is foretold.

    Args:
        inner: over twice as many tokens as there are events.
        width: D.
        channels: F, of the feedback.
    """

    def __init__(self, inner: Transformer, width: int, channels: int) -> None:
        super().__init__()
        self.inner = inner
        self.capabilities = inner.capabilities
        self.answer = nn.Linear(width, channels)

    def tokens(
        self, vectors: Float32[Tensor, "B T W"], where: Where
    ) -> tuple[Float32[Tensor, "B T D"], Float32[Tensor, "B T D"]]:
        """The states at the items' tokens, and at the feedbacks'.

        Args:
            vectors: of items, and beside them of feedback; W is 2 D.
            where: of the events.
        """
        users, events, both = vectors.shape
        states = self.inner(vectors.reshape(users, 2 * events, both // 2), _doubled(where))
        item, feedback = states.reshape(users, events, 2, both // 2).unbind(2)
        return item, feedback

    def forward(self, vectors: Float32[Tensor, "B T W"], where: Where) -> Float32[Tensor, "B T D"]:
        """See :class:`recgym.encoders.Backbone`."""
        return self.tokens(vectors, where)[1]

    def init_memory(self, users: int, window: int, device: torch.device) -> Caches:
        """See :class:`recgym.encoders.Backbone`."""
        return self.inner.init_memory(users, 2 * window, device)

    def step(
        self, memory: Caches, vectors: Float32[Tensor, "B W"], where: Where
    ) -> tuple[Caches, Float32[Tensor, "B D"]]:
        """See :class:`recgym.encoders.Backbone`."""
        item, feedback = vectors.chunk(2, -1)
        memory, _ = self.inner.step(memory, item, where._replace(position=2 * where.position))
        return self.inner.step(memory, feedback, where._replace(position=2 * where.position + 1))

    def remember(
        self, vectors: Float32[Tensor, "B T W"], where: Where, window: int
    ) -> tuple[Caches, Float32[Tensor, "B T D"]]:
        """See :class:`recgym.encoders.Backbone`; in one pass."""
        users, events, both = vectors.shape
        tokens = vectors.reshape(users, 2 * events, both // 2)
        memory, states = self.inner.remember(tokens, _doubled(where), 2 * window)
        return memory, states[:, 1::2]


def _doubled(where: Where) -> Where:
    """Where the tokens stand: feedback right after its item, at the same moment."""

    def twice(part: Tensor | None) -> Tensor | None:
        return None if part is None else part.repeat_interleave(2, 1)

    position = (2 * where.position[..., None] + torch.arange(2, device=where.position.device)).flatten(1)
    asked = where.query_time_s
    if asked is not None and where.time_s is not None:  # What follows an item's token is the feedback, at once.
        asked = torch.stack([where.time_s, asked], -1).flatten(1)
    return Where(position, where.mask.repeat_interleave(2, 1), twice(where.time_s), asked, session=twice(where.session))


@dataclass(frozen=True)
class Answers:
    """Mean squared error of the feedback to each item, on the scale of :class:`recgym.encoders.FeedbackScale`.

    For binary channels this is the Brier score up to a factor, so that the answers tend to be probabilities.
    """

    def __call__(self, step: Step) -> Float32[Tensor, ""]:
        """See :class:`recgym.encoders.Term`."""
        encoder, batch = step.model.encoder, step.example.inputs
        item, _ = _interleaved(encoder).tokens(encoder.inputs(batch), batch.where())
        assert batch.feedback is not None  # Else the inputs could not have been made.
        error = _interleaved(encoder).answer(item) - encoder.events.scaled(batch.feedback)
        loss: Tensor = error[batch.mask].square().mean()
        return loss


def candidate_states(
    encoder: SequenceEncoder,
    state: EncoderState,
    candidates: Int64[Tensor, "B M"],
    time_s: Float64[Tensor, "B"] | None = None,
) -> Float32[Tensor, "B M D"]:
    """What the state would be at each candidate, were it consumed next, before any feedback to it (M-FALCON).

    All candidates pass through the blocks side by side, and each sees the cached history and itself alone: one pass
    gives what M passes would, and the history is not encoded again.

    Args:
        encoder: whose backbone is a Transformer, or :class:`Interleaved`, and sliding.
        state: of the users, from ``init_state`` or ``step``.
        candidates: item ids.
        time_s: now; needed if the encoder needs times.

    Raises:
        ValueError: an id is outside the catalogue, or the encoder is none of the above.
    """
    backbone = encoder.backbone
    inner = backbone.inner if isinstance(backbone, Interleaved) else backbone
    if not isinstance(inner, Transformer) or not encoder.capabilities.sliding:
        raise ValueError(
            "candidates are scored against the cached keys and values of a Transformer with relative positions, found "
            f"{type(inner).__name__} with {encoder.capabilities}"
        )
    if encoder.events.project is not None and not encoder.events.apart:
        raise ValueError("a candidate has no feedback yet; expected an encoder that takes feedback as its own token")
    if encoder.capabilities.needs_time and time_s is None:
        raise ValueError("the encoder takes the times of events, found no time of the candidates")
    vectors = lookup(encoder.items.table(), candidates, encoder.items.num_items) * encoder.scale
    # As many tokens stand before the candidates as their first is numbered.
    tokens = state.events * (2 if isinstance(backbone, Interleaved) else 1)
    where = Where(
        tokens[:, None].expand_as(candidates),
        torch.ones_like(candidates, dtype=torch.bool),
        None if time_s is None else time_s[:, None].expand(candidates.shape),
    )
    return inner.beside(state.memory, vectors, where)


def score_candidates(
    encoder: SequenceEncoder,
    state: EncoderState,
    candidates: Int64[Tensor, "B M"],
    weights: Float32[Tensor, "F"],
    time_s: Float64[Tensor, "B"] | None = None,
) -> Float32[Tensor, "B M"]:
    """How good the feedback to each candidate is expected to be; see :func:`candidate_states`.

    Args:
        encoder: of a model with items and feedback as alternating tokens.
        state: of the users, from ``init_state`` or ``step``.
        candidates: item ids.
        weights: how much each feedback channel, on its common scale, is worth.
        time_s: now; needed if the encoder needs times.

    Raises:
        ValueError: an id is outside the catalogue, or the encoder foretells no feedback.
    """
    backbone = _interleaved(encoder)
    answers: Tensor = backbone.answer(candidate_states(encoder, state, candidates, time_s))
    return answers @ weights


def _interleaved(encoder: SequenceEncoder) -> Interleaved:
    if not isinstance(encoder.backbone, Interleaved):
        raise ValueError(f"only Interleaved encoders foretell feedback, found {type(encoder.backbone).__name__}")
    return encoder.backbone
