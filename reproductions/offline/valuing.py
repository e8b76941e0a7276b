"""Values of a policy from a log of users whom it did not learn from."""

from typing import Any

import numpy as np
from jaxtyping import Float64

from recgym.agents import Policy
from recgym.data.transitions import TransitionStore
from recgym.ope import NCIS, WDR, Bootstrap, Trajectories, TrajectoryDR, evaluate, fitted_q, trajectories_of
from recgym.ope.base import Estimator
from reproductions.offline.arms import Budget

__all__ = ["CAP", "ESTIMATES", "remembers", "values"]

CAP = 10.0
ESTIMATES = ("NCIS by step", "NCIS", "DR", "WDR")
"""``NCIS by step`` is the mean reward of a step under weights of that step alone, ``min(pi / beta, cap)``: what is done
to later steps is left out, and the weights do not multiply up. The others value whole episodes."""


def remembers(policy: Policy[Any]) -> bool:
    """Whether a policy has a memory, of which models of values know nothing."""
    start: Any = policy.init_state(1, "cpu")
    return len(start) > 0


def values(
    store: TransitionStore,
    policy: Policy[Any],
    budget: Budget,
    seed: int,
    *,
    greedy: bool = False,
    modelled: bool = True,
    reward: Float64[np.ndarray, "n"] | None = None,
) -> dict[str, Any]:
    """Each estimate that there is, with its interval over users and its effective sample size.

    Args:
        store: the users held out, with propensities.
        policy: the target policy.
        budget: sizes.
        seed: of models and resamples.
        greedy: judge the policy that takes its most likely action.
        modelled: fit a model of values, of the store's own reward, where the policy has no memory.
        reward: of each step; the store's own if None.

    Returns:
        Of :data:`ESTIMATES` those that there are: ``value``, ``low``, ``high`` (null where there is no support),
        ``ess``, ``rows`` (of which that is) and ``warnings``.
    """
    user = store.columns["user"].astype(np.int64)
    model = None
    if modelled and not remembers(policy):
        model = fitted_q(store, policy, greedy=greedy, updates=budget.model, seed=seed)
    q, v = (None, None) if model is None else (model.q, model.v)
    data = trajectories_of(store, policy, greedy=greedy, q=q, v=v, reward=reward)
    whole: list[Estimator[Any]] = [NCIS(CAP)]
    if model is not None:
        whole += [TrajectoryDR(), WDR()]
    # Each step as an episode of its own.
    alone = Trajectories(
        data.reward[data.mask][:, None], data.ratio[data.mask][:, None], np.ones((len(store), 1), bool)
    )
    method = Bootstrap(resamples=budget.resamples)
    found = evaluate(data, whole, method, seed, user[store.episodes[:, 0]])
    by_step = evaluate(alone, [NCIS(CAP)], method, seed, user[store.steps])[0]
    named = {"NCIS by step": by_step, **{result.estimator: result for result in found}}
    out: dict[str, Any] = {}
    for name, result in named.items():
        told = result.to_json()
        out[name] = {key: told[key] for key in ("value", "low", "high")} | {
            "ess": result.diagnostics.effective_n, "rows": result.diagnostics.n,
            "warnings": list(result.diagnostics.warnings),
        }  # fmt: skip
    return out
