"""Makes the reference numbers of Open Bandit Pipeline: run by the interpreter of an environment that has it.

    python3 -m venv obp && obp/bin/pip install obp==0.4.1 "pandas<3"
    obp/bin/python tests/truth/make_obp_reference.py --data ../shared/data/open-bandit

Version 0.4.1 is the newest that installs on Python 3.11. Estimators that came later are taken from version 0.5.7, whose
files are put beside it without its demands (``pip install --no-deps --ignore-requires-python --target LATER
obp==0.5.7``) and named by ``--later LATER``; the script then runs itself once more with these.

It writes ``recgym/ope/bts.json`` (how often 100,000 draws of the prior put each item at each place) and
``tests/ope/reference/obp-VERSION.json``. The synthetic rounds are made by formulas of this file alone, which the tests
repeat; so there are no arrays to store.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
DRAWS = 100_000
ACTIONS = {"all": 80, "men": 34, "women": 46}
LIMITS = (0.5, 2.0, 5.0, 20.0, 1000.0)
STRENGTHS = (0.0, 0.05, 0.2, 0.6, 1.0)


def synthetic(n: int = 2000, actions: int = 6) -> Arrays:
    """Rounds by formula: the same numbers wherever they are computed."""
    i, a = np.arange(n)[:, None], np.arange(actions)[None, :]
    logging = np.exp(np.sin(0.37 * i * (a + 1)))
    target = np.exp(2.5 * np.cos(0.53 * i + a))
    logging, target = logging / logging.sum(1, keepdims=True), target / target.sum(1, keepdims=True)
    uniform = (np.arange(n) * 0.6180339887498949) % 1.0
    action = np.minimum((np.cumsum(logging, 1) <= uniform[:, None]).sum(1), actions - 1)
    q = 0.5 + 0.4 * np.sin(0.11 * i + a)
    reward = np.round(q[np.arange(n), action] + 0.3 * np.sin(7.7 * np.arange(n)), 6)
    return {
        "action": action, "reward": reward, "logging": logging, "target": target, "q": 0.9 * q + 0.03,
        "propensity": logging[np.arange(n), action],
        "stratum": np.arange(n) % 3,
        "average": (logging[np.arange(n), action] + 1 / actions) / 2,
        "embedding": (action + (np.arange(n) % 5 == 0)) % 3,
        "shares": np.array([[0.2 * (e == (x + 1) % 3) + 0.8 * (e == x % 3) for e in range(3)] for x in range(actions)]),
        "ratio": 0.5 + (np.arange(n) % 7) / 5,
    }  # fmt: skip


def slates(n: int = 600, positions: int = 3) -> Arrays:
    """Slates by formula, a row a position as obp has them."""
    i, k = np.arange(n)[:, None], np.arange(positions)[None, :]
    marginal = 0.2 + 0.15 * np.sin(i + k)
    marginal_target = 0.2 + 0.15 * np.cos(0.7 * i + 2 * k)
    prefix, prefix_target = np.cumprod(marginal, 1), np.cumprod(marginal_target, 1)
    return {
        "reward": ((i * 7 + k * 3) % 5 < 2).astype(float), "marginal": marginal, "marginal_target": marginal_target,
        "prefix": prefix, "prefix_target": prefix_target, "joint": prefix[:, -1], "joint_target": prefix_target[:, -1],
    }  # fmt: skip


def cascade(n: int = 200, positions: int = 3, actions: int = 4) -> Arrays:
    """What the cascade needs besides: items, their q, and the target's law at each position."""
    i, k, a = np.arange(n)[:, None, None], np.arange(positions)[None, :, None], np.arange(actions)[None, None, :]
    law = np.exp(np.sin(i + 2 * k + 3 * a))
    return {
        "action": (np.arange(n)[:, None] + np.arange(positions)) % actions,
        "q": 0.3 + 0.2 * np.cos(0.3 * i + k + a),
        "law": law / law.sum(2, keepdims=True),
    }


def continuous(n: int = 1500) -> Arrays:
    """Rounds with real actions by formula."""
    i = np.arange(n)
    return {
        "action": np.sin(1.3 * i), "target": np.sin(1.3 * i) + 0.4 * np.cos(0.9 * i),
        "propensity": 0.3 + 0.2 * np.cos(i) ** 2,
        "reward": 1 + np.sin(0.2 * i), "q": 1 + 0.8 * np.sin(0.2 * i),
    }  # fmt: skip


def click_rates(action: np.ndarray, position: np.ndarray, reward: np.ndarray, actions: int) -> np.ndarray:
    """A model of the real log: smoothed click rate of each item at each place."""
    key = action * 3 + position
    shown = np.bincount(key, minlength=actions * 3)
    clicked = np.bincount(key, weights=reward, minlength=actions * 3)
    rates: np.ndarray = ((clicked + 1) / (shown + 200)).reshape(actions, 3)
    return rates


def bts_counts() -> dict[str, list[list[int]]]:
    from obp.policy import BernoulliTS

    found = {}
    for campaign, actions in ACTIONS.items():
        policy = BernoulliTS(
            n_actions=actions, len_list=3, is_zozotown_prior=True, campaign=campaign, random_state=12345
        )
        share = policy.compute_batch_action_dist(n_rounds=1, n_sim=DRAWS)[0]
        found[campaign] = np.rint(share * DRAWS).astype(int).tolist()
    return found


def read(folder: Path, campaign: str) -> tuple[np.ndarray, ...]:
    import pandas as pd  # type: ignore[import-untyped]

    frame = pd.read_csv(folder / campaign / f"{campaign}.csv.gz", index_col=0).sort_values("timestamp")
    position = frame["position"].rank(method="dense").astype(int).to_numpy() - 1
    return frame["item_id"].to_numpy(), position, frame["click"].to_numpy(float), frame["propensity_score"].to_numpy()


def real(folder: Path, counts: dict[str, list[list[int]]]) -> dict[str, dict[str, float]]:
    from obp import ope

    found = {}
    for campaign, actions in ACTIONS.items():
        action, position, reward, pscore = read(folder / "random", campaign)
        share = np.array(counts[campaign]) / DRAWS
        rates = click_rates(action, position, reward, actions)
        given = {
            "reward": reward, "action": action, "pscore": pscore, "position": position,
            "action_dist": np.tile(share, (len(action), 1, 1)),
            "estimated_rewards_by_reg_model": np.tile(rates, (len(action), 1, 1)),
        }  # fmt: skip
        chosen = {
            "IPW": ope.InverseProbabilityWeighting(), "SNIPW": ope.SelfNormalizedInverseProbabilityWeighting(),
            "DM": ope.DirectMethod(), "DR": ope.DoublyRobust(), "SNDR": ope.SelfNormalizedDoublyRobust(),
        }  # fmt: skip
        found[campaign] = {name: float(one.estimate_policy_value(**given)) for name, one in chosen.items()}
        found[campaign]["on_policy"] = float(read(folder / "bts", campaign)[2].mean())
    return found


def rounds_inputs() -> tuple[Arrays, Arrays]:
    data = synthetic()
    return data, {
        "reward": data["reward"], "action": data["action"], "pscore": data["propensity"],
        "action_dist": data["target"][:, :, None], "estimated_rewards_by_reg_model": data["q"][:, :, None],
        "position": np.zeros(len(data["reward"]), dtype=int),
    }  # fmt: skip


def shared_0_4_1() -> dict[str, float]:
    from obp import ope

    data, given = rounds_inputs()
    best = np.eye(data["target"].shape[1])[data["target"].argmax(1)]
    found = {
        "Replay": ope.ReplayMethod().estimate_policy_value(**{**given, "action_dist": best[:, :, None]}),
        "IPW": ope.InverseProbabilityWeighting().estimate_policy_value(**given),
        "SNIPW": ope.SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**given),
        "DM": ope.DirectMethod().estimate_policy_value(**given),
        "DR": ope.DoublyRobust().estimate_policy_value(**given),
        "SNDR": ope.SelfNormalizedDoublyRobust().estimate_policy_value(**given),
    }
    for limit in LIMITS:
        found[f"Switch-DR {limit:g}"] = ope.SwitchDoublyRobust(tau=limit).estimate_policy_value(**given)
        found[f"DRos {limit:g}"] = ope.DoublyRobustWithShrinkage(lambda_=limit).estimate_policy_value(**given)
    return found | slate_values(ope)


def slate_values(ope: Any) -> dict[str, float]:
    data = slates()
    n, positions = data["reward"].shape
    flat = {name: value.reshape(-1) for name, value in data.items() if value.ndim == 2}
    given = {
        "slate_id": np.repeat(np.arange(n), positions), "position": np.tile(np.arange(positions), n),
        "reward": flat["reward"], "pscore": np.repeat(data["joint"], positions),
        "evaluation_policy_pscore": np.repeat(data["joint_target"], positions),
        "pscore_item_position": flat["marginal"], "evaluation_policy_pscore_item_position": flat["marginal_target"],
        "pscore_cascade": flat["prefix"], "evaluation_policy_pscore_cascade": flat["prefix_target"],
    }  # fmt: skip
    names = {"SIPS": "SlateStandardIPS", "IIPS": "SlateIndependentIPS", "RIPS": "SlateRewardInteractionIPS"}
    found = {
        name: getattr(ope, kind)(len_list=positions).estimate_policy_value(**given) for name, kind in names.items()
    }
    if not hasattr(ope, "SlateCascadeDoublyRobust"):
        return found
    for name, kind in names.items():
        found[f"SN{name}"] = getattr(ope, f"SelfNormalized{kind}")(len_list=positions).estimate_policy_value(**given)
    more = cascade()
    few, actions = len(more["action"]) * positions, more["q"].shape[2]
    given = {name: value[:few] for name, value in given.items()}
    one = ope.SlateCascadeDoublyRobust(len_list=positions, n_unique_action=actions)
    found["Cascade-DR"] = one.estimate_policy_value(
        **given, action=more["action"].reshape(-1), q_hat=more["q"].reshape(-1),
        evaluation_policy_action_dist=more["law"].reshape(-1),
    )  # fmt: skip
    return found


def shared_0_5_7() -> dict[str, float]:
    from obp import ope

    data, given = rounds_inputs()
    found = slate_values(ope)
    for limit in LIMITS:
        found[f"IPW clipped {limit:g}"] = ope.InverseProbabilityWeighting(lambda_=limit).estimate_policy_value(**given)
        found[f"DR clipped {limit:g}"] = ope.DoublyRobust(lambda_=limit).estimate_policy_value(**given)
    for strength in STRENGTHS:
        one = ope.SubGaussianInverseProbabilityWeighting(lambda_=strength)
        found[f"SG-IPW {strength:g}"] = one.estimate_policy_value(**given)
        found[f"SG-DR {strength:g}"] = ope.SubGaussianDoublyRobust(lambda_=strength).estimate_policy_value(**given)
    one = ope.BalancedInverseProbabilityWeighting(lambda_=1.2)
    found["B-IPW 1.2"] = one.estimate_policy_value(**given, estimated_importance_weights=data["ratio"])
    one = ope.MarginalizedInverseProbabilityWeighting(n_actions=data["target"].shape[1])
    found["MIPS"] = one.estimate_policy_value(
        reward=data["reward"], action=data["action"], action_embed=data["embedding"][:, None],
        pi_b=data["logging"][:, :, None], action_dist=given["action_dist"], p_e_a=data["shares"][:, :, None],
    )  # fmt: skip
    return found | loggers(ope, data, given) | tuned(ope, given) | kernels(ope)


def loggers(ope: Any, data: Arrays, given: Arrays) -> dict[str, float]:
    found = {}
    for short, long in (("IPW", "InverseProbabilityWeighting"), ("DR", "DoublyRobust")):
        balanced = getattr(ope, f"MultiLoggersBalanced{long}")()
        found[f"balanced {short}"] = balanced.estimate_policy_value(**given, pscore_avg=data["average"])
        weighted = getattr(ope, f"MultiLoggersWeighted{long}")()
        found[f"weighted {short}"] = weighted.estimate_policy_value(**given, stratum_idx=data["stratum"])
    return found


def tuned(ope: Any, given: Arrays) -> dict[str, float]:
    found = {}
    families = {
        "IPW": (ope.InverseProbabilityWeightingTuning, LIMITS), "DR": (ope.DoublyRobustTuning, LIMITS),
        "Switch-DR": (ope.SwitchDoublyRobustTuning, LIMITS), "DRos": (ope.DoublyRobustWithShrinkageTuning, LIMITS),
        "SG-IPW": (ope.SubGaussianInverseProbabilityWeightingTuning, STRENGTHS),
        "SG-DR": (ope.SubGaussianDoublyRobustTuning, STRENGTHS),
    }  # fmt: skip
    for family, (kind, values) in families.items():
        for rule, settings in (
            ("slope", {"tuning_method": "slope"}),
            ("mse", {"tuning_method": "mse", "use_bias_upper_bound": False}),
            ("mse upper", {"tuning_method": "mse"}),
        ):
            one = kind(lambdas=list(values), **settings)
            found[f"tuned {family} {rule}"] = one.estimate_policy_value(**given)
            found[f"chosen {family} {rule}"] = one.best_hyperparam
    return found


def kernels(ope: Any) -> dict[str, float]:
    data, found = continuous(), {}
    for kernel in ("gaussian", "epanechnikov", "triangular", "cosine"):
        for name in ("InverseProbabilityWeighting", "SelfNormalizedInverseProbabilityWeighting", "DoublyRobust"):
            one = getattr(ope, f"Kernelized{name}")(kernel=kernel, bandwidth=0.3)
            found[f"{kernel} {name}"] = one.estimate_policy_value(
                reward=data["reward"], action_by_behavior_policy=data["action"], pscore=data["propensity"],
                action_by_evaluation_policy=data["target"].copy(), estimated_rewards_by_reg_model=data["q"],
            )  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "open-bandit")
    parser.add_argument("--later", type=Path)
    args = parser.parse_args()
    import obp

    out = ROOT / "tests" / "ope" / "reference" / f"obp-{obp.__version__}.json"
    body = {"obp": obp.__version__, "numpy": np.__version__, "command": "python tests/truth/make_obp_reference.py"}
    if obp.__version__ == "0.4.1":
        counts = bts_counts()
        text = json.dumps({"draws": DRAWS, "counts": counts}, separators=(",", ":"))
        (ROOT / "recgym" / "ope" / "bts.json").write_text(text.replace("]],", "]],\n") + "\n")
        body |= {"open_bandit": real(args.data, counts), "synthetic": shared_0_4_1()}
    else:
        body |= {"synthetic": shared_0_5_7()}
    body["synthetic"] = {name: float(value) for name, value in body["synthetic"].items()}
    out.write_text(json.dumps(body, indent=2) + "\n")
    if args.later is not None:
        again = [sys.executable, __file__, "--data", str(args.data)]
        subprocess.run(again, check=True, env=os.environ | {"PYTHONPATH": str(args.later)})


if __name__ == "__main__":
    main()
