"""What is compared: how slates are learned from and how they are served."""

from dataclasses import dataclass, replace

from recgym.agents.online import OnlineAgent
from recgym.agents.slateq import Learning, NullItem, Optimiser, SlateQConfig
from recgym.envs.interest_evolution import task as interest_evolution
from recgym.envs.task import Task

__all__ = ["ARMS", "BASE", "LONG_TERM", "MYOPIC", "PUBLISHED", "RECSIM", "Job", "world"]

BASE = SlateQConfig(batch_size=512, updates=2, label_every=10, buffer_size=300_000, learning_starts=20_000)
USERS = 1024

MYOPIC = "MYOP-TS"
RECSIM = "QL-OT-OS, RecSim's null item"

_TOP, _GREEDY, _EXACT = Optimiser.TOP_K, Optimiser.GREEDY, Optimiser.EXACT
ARMS: dict[str, SlateQConfig] = {
    MYOPIC: replace(BASE, gamma=0.0, serving=_TOP),
    "SARSA-TS": replace(BASE, learning=Learning.SARSA, serving=_TOP),
    "SARSA-GS": replace(BASE, learning=Learning.SARSA, serving=_GREEDY),
    "QL-TT-TS": replace(BASE, target=_TOP, serving=_TOP),
    "QL-GT-GS": replace(BASE, target=_GREEDY, serving=_GREEDY),
    "QL-OT-GS": replace(BASE, target=_EXACT, serving=_GREEDY),
    "QL-OT-OS": replace(BASE, target=_EXACT, serving=_EXACT),
    RECSIM: replace(BASE, target=_EXACT, serving=_EXACT, null_item=NullItem.WORTHLESS),
}
"""By the paper's names: TS, GS and OS serve the top K, greedily and exactly; TT, GT and OT are the targets'."""

LONG_TERM = tuple(name for name in ARMS if name not in (MYOPIC, RECSIM))

PUBLISHED = {
    "random": 159.2, MYOPIC: 166.3, "SARSA-TS": 168.4, "SARSA-GS": 172.1, "QL-TT-TS": 168.4, "QL-GT-GS": 172.9,
    "QL-OT-GS": 173.8, "QL-OT-OS": 174.6,
}  # fmt: skip
"""Minutes a session after 300,000 steps."""


def world() -> Task:
    """Slates of 3 of 10 candidates; the window is the shortest that there can be."""
    return interest_evolution(num_candidates=10, slate_size=3, window=3)


@dataclass(frozen=True)
class Job:
    """One training run.

    Attributes:
        arm: one of :data:`ARMS`.
        seed: root seed of the training; the test users of this seed are the same for all arms.
        steps: user-steps to learn from.
    """

    arm: str
    seed: int
    steps: int

    @property
    def key(self) -> str:
        """A name for files."""
        name = "".join(letter if letter.isalnum() else "_" for letter in self.arm.lower())
        return f"{name}_{self.seed}_{self.steps}"

    def agent(self) -> OnlineAgent:
        """A new agent."""
        return OnlineAgent(ARMS[self.arm], world(), USERS, self.seed)
