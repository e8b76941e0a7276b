"""A log, arranged as what the network looks at."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from recgym.data.features import FeatureEncoder
from recgym.data.schema import InteractionLog
from recgym.simulators.learned.context import ItemContext
from recgym.simulators.learned.steps import Behaviour

__all__ = ["Prepared", "prepare"]


@dataclass(frozen=True)
class Prepared:
    """A log with everything the network looks at.

    Attributes:
        behaviour: the log as arrays.
        profile: user features, one row a user.
        context: raw item context, one row a row.
        repeats: how often the user consumed a row's item lately.
        row_item: the network's id of each row's item (N if unknown).
        taken_item: the network's id of each consumption's item.
        row_length: length of each row's item in seconds.
    """

    behaviour: Behaviour
    profile: Float32[Tensor, "U P"]
    context: Float32[Tensor, "R X"]
    repeats: Float32[Tensor, "R"]
    row_item: Int64[Tensor, "R"]
    taken_item: Int64[Tensor, "C"]
    row_length: Float32[Tensor, "R"]

    def owner(self, steps: Int64[np.ndarray, "s"]) -> Int64[Tensor, "r"]:
        """Which of the exposures each of their rows belongs to."""
        counts = self.behaviour.step_rows[steps + 1] - self.behaviour.step_rows[steps]
        return torch.from_numpy(np.repeat(np.arange(steps.size), counts))

    def profiles(self, steps: Int64[np.ndarray, "s"]) -> Float32[Tensor, "s P"]:
        """Features of the users of exposures."""
        return self.profile[torch.from_numpy(self.behaviour.step_user[steps])]

    def log_sizes(self, steps: Int64[np.ndarray, "s"]) -> Float32[Tensor, "s"]:
        """Logarithm of the sizes of slates."""
        return torch.from_numpy(np.log(np.maximum(self.behaviour.step_size[steps], 1))).float()


def prepare(
    log: InteractionLog,
    behaviour: Behaviour,
    users: FeatureEncoder,
    context: ItemContext | None,
    network_id: Int64[np.ndarray, "items"],
    unknown: int,
    history: int,
    lengths: Float32[np.ndarray, "N_plus_1"] | None = None,
) -> Prepared:
    """Arrange what the network looks at.

    Args:
        log: the log.
        behaviour: the same as arrays.
        users: encoder of user features.
        context: what was known of the log's items, in the log's ids; None without times.
        network_id: the network's id of each of the log's items, negative if it does not know it.
        unknown: the network's id of unknown items.
        history: length of the window in which repeats are counted.
        lengths: length of each of the network's items in seconds, needed to explain what they were answered.
    """
    ids = torch.from_numpy(np.where(network_id < 0, unknown, network_id))
    row_item = ids[torch.from_numpy(behaviour.row_item)]
    time = behaviour.step_time[behaviour.row_step]
    raw = np.zeros((time.size, 0), dtype=np.float32) if context is None else context.at(behaviour.row_item, time)
    return Prepared(
        behaviour=behaviour,
        profile=torch.from_numpy(users.encode(log.user_features, log.n_users)),
        context=torch.from_numpy(raw),
        repeats=torch.from_numpy(behaviour.repeats(history)),
        row_item=row_item,
        taken_item=ids[torch.from_numpy(behaviour.taken_item)],
        row_length=torch.ones(row_item.shape) if lengths is None else torch.from_numpy(lengths)[row_item],
    )
