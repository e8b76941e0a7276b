"""Our bandits on the rounds of the peers."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from recgym.agents.bandits import BanditSpec, Context, LinTS, LinUCB
from recgym.files import read_json
from recgym.seeding import make_generator
from reproductions.bandits.run_peers import ARMS, REPLICATIONS, STEPS, WIDTH, rounds

__all__ = ["OURS", "play", "regret_of", "theirs"]

OURS: dict[str, Any] = {
    "MABWiser LinUCB": LinUCB(1.0), "obp LinUCB": LinUCB(1.0), "MABWiser LinTS": LinTS(0.5), "obp LinTS": LinTS(1.0),
}  # fmt: skip


def theirs() -> dict[str, Any]:
    """The peers' regret by replication, and the first arms of those that are deterministic."""
    found: dict[str, Any] = read_json(Path(__file__).parent / "peers.json")["regret"]
    return found


def play(bandit: Any, replications: int = REPLICATIONS, steps: int = STEPS) -> Int64[np.ndarray, "T R"]:
    """The arms that a bandit chooses, replications side by side."""
    features, _, clicks = (np.stack(part, 1) for part in zip(*map(rounds, range(replications)), strict=True))
    state = bandit.init_state(BanditSpec(ARMS, WIDTH, replications=replications))
    generator, chosen = make_generator(0, "peers", device="numpy"), np.zeros((steps, replications), np.int64)
    for step in range(steps):
        context = Context(features[step][:, None])
        action = bandit.choose(state, context, generator)
        state = bandit.update(state, context, action, np.take_along_axis(clicks[step], action, 1))
        chosen[step] = action[:, 0]
    return chosen


def regret_of(chosen: Int64[np.ndarray, "T R"]) -> Float64[np.ndarray, "R"]:
    """What the choices lost against the best arm of each round."""
    chance = np.stack([rounds(replication)[1] for replication in range(chosen.shape[1])], 1)[: len(chosen)]
    lost: np.ndarray = (chance.max(-1) - np.take_along_axis(chance, chosen[..., None], 2)[..., 0]).sum(0)
    return lost
