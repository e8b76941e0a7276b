"""DT4IER's balance of two returns: how much each counts for a user, by what is known of the user."""

from jaxtyping import Float32
from torch import Tensor, nn

__all__ = ["BalanceNetwork", "balance_loss", "contrastive_loss"]


class BalanceNetwork(nn.Module):
    """``softmax(MLP_64-32(user features))``: a weight for each part of a return, summing to 1.

    Args:
        features: width of the user features; at 0 all users have the same weights.
        parts: V.
    """

    def __init__(self, features: int, parts: int = 2) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, parts)
        )

    def forward(self, features: Float32[Tensor, "n P"]) -> Float32[Tensor, "n V"]:
        """The weights of each user."""
        out: Tensor = self.layers(features).softmax(-1)
        return out


def balance_loss(weights: Float32[Tensor, "n 2"], returns: Float32[Tensor, "n 2"]) -> Float32[Tensor, ""]:
    """``-(w_s R_s + w_l R_l) + |w_s R_s - w_l R_l| / 2``, the mean over rows.

    Args:
        weights: of :class:`BalanceNetwork`.
        returns: of immediate feedback and of return frequency, in units of their scale.
    """
    weighed = weights * returns
    loss: Tensor = (-weighed.sum(1) + 0.5 * (weighed[:, 0] - weighed[:, 1]).abs()).mean()
    return loss


def contrastive_loss(
    predicted: Float32[Tensor, "n d"], window: Tensor, low: Tensor, windows: int
) -> Float32[Tensor, ""]:
    """``-mean D(E, E_neg)`` over pairs of windows, with ``D = 1 - cosine``, which lies in [0, 2].

    E is the mean predicted action of a window of a session; negatives are the windows of sessions in which both
    rewards were low. 0 where there are none, or nothing else.

    Args:
        predicted: of each step.
        window: which window each step belongs to, ``[n]``.
        low: which windows are negatives, ``[B]``.
        windows: B.
    """
    total = predicted.new_zeros((windows, predicted.shape[1])).index_add(0, window, predicted)
    direction = nn.functional.normalize(total, dim=1)
    if not bool(low.any()) or bool(low.all()):
        return predicted.sum() * 0.0
    distance = 1 - direction[~low] @ direction[low].T
    return -distance.mean()
