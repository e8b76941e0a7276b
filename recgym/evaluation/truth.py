"""Policies of learned users, put before the true users whose log those were learned from."""

from typing import Any, TypeVar

import polars as pl

from recgym.agents.base import MappedPolicy, Policy
from recgym.arrays import device_of, from_numpy, to_numpy
from recgym.data.schema import InteractionLog
from recgym.simulators.learned import FittedSimulator

__all__ = ["in_truth"]

PolicyState = TypeVar("PolicyState")


def in_truth(policy: Policy[PolicyState], fitted: FittedSimulator, log: InteractionLog) -> MappedPolicy[PolicyState]:
    """The policy before true users: it sees their profiles encoded as those of the log were.

    Args:
        policy: knows the profiles of learned users.
        fitted: the learned users.
        log: of the true users, whose profile is one column a user feature of the log, in the same order.
    """
    features = log.user_features

    def as_logged(observation: dict[str, Any]) -> dict[str, Any]:
        profile = to_numpy(observation["profile"])
        frame = None if features is None else pl.DataFrame(profile, schema=features.schema)
        encoded = fitted.users.encode(frame, profile.shape[0])
        return {**observation, "profile": from_numpy(encoded, device_of(observation["profile"]))}

    return MappedPolicy(policy, as_logged)
