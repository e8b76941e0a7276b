"""The network behind learned users: a recurrent user state, a response head a channel and a leave head.

Sources: GRU4Rec (arXiv 1511.06939) for the recurrent state; the response layer is a multilayer perceptron whose first
layer is split by what it looks at (the step, the item, the pair of both), so that each part is computed once for all
it serves.
"""

import math

import torch
import torch.nn.functional as nnf
from jaxtyping import Bool, Float32, Int64
from torch import Tensor, nn

from recgym.data.schema import FeedbackSchema
from recgym.simulators.learned.network_shape import FeedbackScale, NetworkShape

__all__ = ["MAX_POSITION", "ResponseNetwork", "gap_feature"]

MAX_POSITION = 50
MOOD_WIDTH = 16
_WEEK_S = 7 * 86400.0


def gap_feature(gap_s: Tensor) -> Tensor:
    """A pause between events as a number near [0, 1]; 0 where there is none to speak of (NaN)."""
    return (torch.log1p(gap_s.clamp(min=0.0)) / math.log1p(_WEEK_S)).nan_to_num(0.0).float()


class ResponseNetwork(nn.Module):
    """User state, responses and leaving.

    * state: a GRU over events; the input of an event is the mean over its items of [item vector + projected feedback]
      and the pause before it.
    * response to one item: an MLP on [state, user features, log slate size] + [item vector, item context] + [the mean
      of the same over all items of the slate, with which the item competes] +
      [interest * item vector, repeats, position], plus a multiple of the dot product of interest and item vector; the
      user's interest is a linear map of [state, user features].
    * leaving: an MLP on [state after the step, user features, what the step brought, log steps and log minutes so
      far], less the user's temper. The temper is a patience that each slate adds to or takes from, by an MLP on what
      the step brought, and that fades by a constant factor a step; it is 0 when a session begins.
    * coming back: an MLP on [state, user features, mean of what the session's steps brought, log steps and log minutes
      of the session, temper] gives the hazard of each range of the pause.

    An item's vector is its embedding plus a linear map of its features. ``bonds`` are the correlations between the
    answers of channels that none of this explains, see :mod:`recgym.simulators.learned.bonds`.
    """

    context_mean: Tensor
    context_sd: Tensor
    logit_scale: Tensor
    logit_shift: Tensor
    leave_scale: Tensor
    leave_shift: Tensor
    known: Tensor
    item_table: Tensor
    gap_edges: Tensor
    bonds: Tensor

    def __init__(
        self, shape: NetworkShape, schema: FeedbackSchema, largest: Float32[Tensor, "F"] | None = None
    ) -> None:
        super().__init__()
        self.shape = shape
        width, hidden = shape.item_width, shape.hidden
        self.scale = FeedbackScale(schema, largest)
        self.embedding = nn.Embedding(shape.items + 1, width)
        nn.init.normal_(self.embedding.weight, std=0.3)
        self.feature_in = nn.Linear(shape.item_features, width, bias=False) if shape.item_features else None
        self.feedback_in = nn.Linear(shape.channels, width)
        self.gru = nn.GRU(width + 1, hidden, batch_first=True)
        self.step_in = nn.Linear(hidden + shape.profile + 1, hidden)
        self.item_in = nn.Linear(width + shape.context, hidden, bias=False)
        self.interest = nn.Linear(hidden + shape.profile, width)
        heads = shape.parameters - shape.potentials
        self.match_out = nn.Linear(1, heads, bias=False)
        self.pair_in = nn.Linear(width + 1, hidden, bias=False)
        self.position = nn.Embedding(MAX_POSITION + 2, hidden)
        nn.init.zeros_(self.position.weight)
        self.rivals_in = nn.Linear(hidden, hidden, bias=False) if shape.rivals else None
        if self.rivals_in is not None:
            nn.init.zeros_(self.rivals_in.weight)
        self.inner = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, heads)
        self.potentials = nn.Parameter(torch.zeros(shape.potentials))
        brought = 2 * shape.channels + 2
        self.leave_in = nn.Linear(hidden + shape.profile + brought + 2, hidden // 2)
        self.leave_out = nn.Linear(hidden // 2, 1)
        self.mood_in = nn.Linear(brought, MOOD_WIDTH)
        self.mood_out = nn.Linear(MOOD_WIDTH, 1)
        self.fading = nn.Parameter(torch.tensor(1.0))
        self.return_in = nn.Linear(hidden + shape.profile + brought + 3, hidden // 2)
        self.return_out = nn.Linear(hidden // 2, max(shape.gaps, 1))
        nn.init.zeros_(self.return_out.weight)
        self.dropout = nn.Dropout(shape.dropout)
        self.register_buffer("context_mean", torch.zeros(shape.context))
        self.register_buffer("context_sd", torch.ones(shape.context))
        self.register_buffer("logit_scale", torch.ones(shape.parameters))
        self.register_buffer("logit_shift", torch.zeros(shape.parameters))
        self.register_buffer("leave_scale", torch.ones(()))
        self.register_buffer("leave_shift", torch.zeros(()))
        self.register_buffer("gap_edges", torch.zeros(shape.gaps + 1, dtype=torch.float64))
        self.register_buffer("bonds", torch.eye(shape.channels))
        self.register_buffer("known", torch.zeros(shape.items + 1, dtype=torch.bool))
        self.register_buffer("item_table", torch.zeros(shape.items + 1, shape.item_features))

    def item_vectors(
        self, items: Int64[Tensor, "*rows"], hidden: Bool[Tensor, "*rows"] | None = None
    ) -> Float32[Tensor, "*rows D"]:
        """Item vectors. Items that training hardly saw, index N and those marked ``hidden`` share one embedding."""
        known = self.known[items] if hidden is None else self.known[items] & ~hidden
        vectors: Tensor = self.embedding(torch.where(known, items, self.shape.items))
        if self.feature_in is not None:
            vectors = vectors + self.feature_in(self.item_table[items])
        return vectors

    def consumption(self, vectors: Float32[Tensor, "*rows D"], feedback: Float32[Tensor, "*rows F"]) -> Tensor:
        """What one consumed item brings to the input of the state; ``[*rows, D]``."""
        projected: Tensor = self.feedback_in(self.scale(feedback))
        return vectors + projected

    def encode(self, inputs: Float32[Tensor, "B L D_plus_1"]) -> Float32[Tensor, "B L_plus_1 H"]:
        """States before the first event and after each, starting from zero."""
        out: Tensor = self.gru(inputs)[0]
        return torch.cat([torch.zeros_like(out[:, :1]), out], 1)

    def move(self, state: Float32[Tensor, "B H"], inputs: Float32[Tensor, "B D_plus_1"]) -> Float32[Tensor, "B H"]:
        """The state after one event; the cell is written out, as ``torch.func.vmap`` does not run ``nn.GRU``."""
        weight_in, weight_state, bias_in, bias_state = self.gru.all_weights[0]
        reset_in, update_in, new_in = nnf.linear(inputs, weight_in, bias_in).chunk(3, -1)
        reset, update, new = nnf.linear(state, weight_state, bias_state).chunk(3, -1)
        candidate = torch.tanh(new_in + torch.sigmoid(reset_in + reset) * new)
        return candidate + torch.sigmoid(update_in + update) * (state - candidate)

    def context(self, raw: Float32[Tensor, "*rows X"]) -> Float32[Tensor, "*rows X"]:
        """Standardised item context."""
        return ((raw - self.context_mean) / self.context_sd).clamp(-5.0, 5.0)

    def step_part(
        self, state: Float32[Tensor, "S H"], profile: Float32[Tensor, "S P"], log_size: Float32[Tensor, "S"]
    ) -> tuple[Float32[Tensor, "S H"], Float32[Tensor, "S D"]]:
        """What a step brings to the response, and the user's interest as a direction among item vectors."""
        part: Tensor = self.step_in(torch.cat([state, profile, log_size[:, None]], 1))
        return part, self.interest(torch.cat([state, profile], 1))

    def item_part(self, vectors: Float32[Tensor, "*rows D"], context: Float32[Tensor, "*rows X"]) -> Tensor:
        """What an item brings to the response, ``[*rows, H]``; ``context`` is standardised."""
        part: Tensor = self.item_in(torch.cat([vectors, context], -1))
        return part

    def compete(
        self, step: Float32[Tensor, "*rows H"], slate: Float32[Tensor, "*rows H"]
    ) -> Float32[Tensor, "*rows H"]:
        """The first output of :meth:`step_part` with the mean of :meth:`item_part` over the items of the slate."""
        return step if self.rivals_in is None else step + self.rivals_in(slate)

    def respond(
        self,
        step: Float32[Tensor, "*#rows H"],
        interest: Float32[Tensor, "*#rows D"],
        item: Float32[Tensor, "*#rows H"],
        vectors: Float32[Tensor, "*#rows D"],
        repeats: Float32[Tensor, "*#rows"],
        position: Int64[Tensor, "*#rows"],
    ) -> Float32[Tensor, "*out W"]:
        """Parameters of the heads, calibrated.

        Args:
            step: first output of :meth:`step_part` for each row, after :meth:`compete`.
            interest: the second.
            item: :meth:`item_part`.
            vectors: :meth:`item_vectors`.
            repeats: how often the user consumed the item within the history window.
            position: position in the slate from 0, -1 if unknown.
        """
        liked = interest * vectors
        place = self.position((position + 1).clamp(max=MAX_POSITION + 1))
        # In place where autograd allows it: new memory for numbers of this size costs more than the arithmetic.
        first = self.pair_in(torch.cat([liked, torch.log1p(repeats)[..., None]], -1))
        first += item
        first += step
        first += place
        hidden = self.dropout(nnf.relu_(first))
        hidden = self.dropout(nnf.relu_(self.inner(hidden)))
        parameters: Tensor = self.out(hidden)
        parameters += self.match_out(liked.sum(-1, keepdim=True))
        if self.shape.potentials:
            parameters = torch.cat([parameters, self.potentials.expand(*parameters.shape[:-1], -1)], -1)
        return parameters * self.logit_scale + self.logit_shift

    def leave(
        self,
        state: Float32[Tensor, "S H"],
        profile: Float32[Tensor, "S P"],
        summary: Float32[Tensor, "S two_F_plus_2"],
        steps: Float32[Tensor, "S"],
        minutes: Float32[Tensor, "S"],
        temper: Float32[Tensor, "S"],
    ) -> Float32[Tensor, "S"]:
        """Calibrated logit that a session ends after a step.

        Args:
            state: the state after the step.
            profile: user features.
            summary: see :meth:`summary`.
            steps: steps of the session so far, this one included.
            minutes: from the first step of the session to this one.
            temper: see :meth:`temper`; this step included.
        """
        elapsed = torch.stack([torch.log1p(steps), torch.log1p(minutes)], 1)
        inputs = torch.cat([state, profile, summary, elapsed], 1)
        logit: Tensor = self.leave_out(nnf.relu(self.leave_in(inputs)))[:, 0] - temper
        return logit * self.leave_scale + self.leave_shift

    def mood(self, summary: Float32[Tensor, "S two_F_plus_2"]) -> Float32[Tensor, "S"]:
        """What a step adds to the temper."""
        mood: Tensor = self.mood_out(nnf.relu(self.mood_in(summary)))[:, 0]
        return mood

    @property
    def kept(self) -> Float32[Tensor, ""]:
        """The part of the temper that is left a step later."""
        return torch.sigmoid(self.fading)

    def temper(self, before: Float32[Tensor, "S"], summary: Float32[Tensor, "S two_F_plus_2"]) -> Float32[Tensor, "S"]:
        """The temper after a step."""
        return self.kept * before + self.mood(summary)

    def coming_back(
        self,
        state: Float32[Tensor, "S H"],
        profile: Float32[Tensor, "S P"],
        session: Float32[Tensor, "S two_F_plus_2"],
        steps: Float32[Tensor, "S"],
        minutes: Float32[Tensor, "S"],
        temper: Float32[Tensor, "S"],
    ) -> Float32[Tensor, "S gaps"]:
        """Logit that a user comes back within each range of the pause, given that it was not sooner.

        Args:
            state: the state at the end of the session.
            profile: user features.
            session: mean of :meth:`summary` over the steps of the session.
            steps: steps of the session.
            minutes: from its first step to its last.
            temper: at its end.
        """
        about = torch.stack([torch.log1p(steps), torch.log1p(minutes), temper], 1)
        logits: Tensor = self.return_out(nnf.relu(self.return_in(torch.cat([state, profile, session, about], 1))))
        return logits

    @staticmethod
    def summary(
        mean: Float32[Tensor, "S F"],
        top: Float32[Tensor, "S F"],
        taken: Float32[Tensor, "S"],
        log_size: Float32[Tensor, "S"],
    ) -> Float32[Tensor, "S two_F_plus_2"]:
        """What a step brought: mean and largest scaled feedback of the slate, log(1 + items taken), log slate size."""
        return torch.cat([mean, top, torch.log1p(taken)[:, None], log_size[:, None]], 1)
