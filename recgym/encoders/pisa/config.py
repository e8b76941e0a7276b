"""Settings of PISA, and of the session-level SASRec that is the same model without what ACT-R adds."""

from dataclasses import dataclass

__all__ = ["PISAConfig"]


@dataclass(frozen=True)
class PISAConfig:
    """PISA: a Transformer over sessions whose items count by their activation in ACT-R (arXiv 2408.16578).

    An item i of session s has the weight

        w_i  =  g_i / sum_j g_j,    g_i = (sum_c relu(w_c) relu(c_i))^0.5

    over the components c: its base level BL (softmax over all items that the user knows), spreading SPR within the
    session, partial matching PM with the session before, of the item vectors as they are learned. The session is
    ``x_s = sum_i w_i e_i``. With ``z_s`` the state after it of a causal Transformer over ``sqrt(D) x + P``, scaled to
    length 1, and ``l_s = sum_i BL_i e_i`` over the 20 items of the highest base level, scaled likewise,

        short_s  =  norm(a l_s + (1 - a) z_s + x_s),    a = softmax(G [l_s, z_s])_1

    and an item's score is ``(short_s + 0.5 l_s) . e``. The loss is

        0.9 [0.9 BPR(x_target) + 0.1 BPR(short) + 0.5 BPR(l)] + 0.1 (1 - cos(short, x_target))

    with BPR over the items of the target session, each with one negative, and ``x_target`` scaled to length 1; base
    levels of target items are those before the target.

    Differences from the paper and its code: (1) base levels and favourites are those at the start of the session after
    s, for every s, so each state sees the past alone and stays as it is when sessions are added (the code takes the
    moment of the window's last target for all of its sessions, which the earlier targets are a part of); (2) matching
    leaves out the same item wherever it stands (the code: what stands at the same place); (3) spreading counts items
    that share a session (the code: items of neighbouring sessions); (4) the session before the first one of a window is
    the user's own, if there is one (the code: that first session itself); (5) blocks are those of
    :class:`recgym.encoders.SASRecConfig`; (6) the L2 term enters the loss (the code collects it and leaves it out);
    (7) item vectors start from a singular value decomposition of who took what how often (the paper: from factors
    learned on the same); (8) windows shorter than ``window`` are trained on too; (9) a negative that the target session
    holds does not count (the code draws another).

    Attributes:
        width: D.
        blocks: of the Transformer.
        heads: of each block.
        window: sessions that the Transformer sees.
        session: distinct items of a session that count, its first ones.
        dropout: of the input, attention and feed-forward nets.
        base_level: whether BL weighs items.
        spreading: whether SPR does.
        matching: whether PM does. Without all three, a session is the mean of its items.
        long_term: whether there is a long-term interest.
        skip: whether the newest session is added to the fused interests.
        decay: d of the base level.
        favourites: items of the long-term interest.
        power: of the weights before they are normalised.
        gap_s: a longer pause starts a new session in a history whose sessions are not known, see
            :meth:`recgym.encoders.pisa.PISA.with_sessions`.
        task: weight of the BPR terms; the cosine has the rest.
        target: share of BPR(x_target) in its sum with BPR(short).
        long: weight of BPR(l) in the loss, and of l in the score.
        negatives: power of an item's number of users by which negatives are drawn: 0 is PISA-U, 0.5 is PISA-P.
        l2: of item vectors.
        epochs: passes over the windows, at most.
        batch_size: windows of a batch.
        step_size: of Adam.
        stride: sessions from one window of a user to the next; beyond ``window``, some are never targets.
        patience: epochs without a better validation after which training ends.
    """

    width: int = 128
    blocks: int = 2
    heads: int = 2
    window: int = 20
    session: int = 10
    dropout: float = 0.0
    base_level: bool = True
    spreading: bool = True
    matching: bool = True
    long_term: bool = True
    skip: bool = True
    decay: float = 0.5
    favourites: int = 20
    power: float = 0.5
    gap_s: float = 1200.0
    task: float = 0.9
    target: float = 0.9
    long: float = 0.5
    negatives: float = 0.5
    l2: float = 1e-5
    epochs: int = 100
    batch_size: int = 512
    step_size: float = 1e-3
    stride: int = 5
    patience: int = 5

    def __post_init__(self) -> None:
        for name in ("blocks", "heads", "window", "session", "favourites", "epochs", "batch_size", "stride",
                     "patience"):  # fmt: skip
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, found {getattr(self, name)}")
        if self.width < 1 or self.width % self.heads:
            raise ValueError(f"a width of {self.width} is not a positive multiple of {self.heads} heads")
        for name in ("task", "target", "dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be a share in [0, 1], found {getattr(self, name)}")
        for name in ("decay", "power", "long", "negatives", "l2"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, found {getattr(self, name)}")
        for name in ("gap_s", "step_size"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, found {getattr(self, name)}")

    @classmethod
    def session_sasrec(cls) -> "PISAConfig":
        """SASRec over sessions: each the mean of its items, the same Transformer and loss, nothing of ACT-R.

        So there is no long-term interest either, which is made of base levels, and nothing to fuse and to skip: the
        state of the Transformer, scaled to length 1, is what items are scored by.
        """
        return cls(base_level=False, spreading=False, matching=False, long_term=False, skip=False)

    @property
    def needs_levels(self) -> bool:
        """Whether base levels have to be known."""
        return self.base_level or self.long_term
