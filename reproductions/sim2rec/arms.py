"""The arms of the comparison on long-term satisfaction: one learner, one observation, one budget."""

from dataclasses import dataclass

from recgym.agents import RecurrentPPO, RecurrentPPOConfig, Sim2RecConfig
from recgym.envs.long_term_satisfaction import task

__all__ = ["ARMS", "Arm", "Job", "TARGET", "worlds_of"]

TARGET = 14
CHOCS = tuple(range(6, 22))
USERS = 450


@dataclass(frozen=True)
class Arm:
    """One way to learn.

    Attributes:
        memory: width of the policy's LSTM; 0 for a memoryless policy.
        world: whether the policy is given v, SADAE's latent of its group of users.
        only: the only world it learns in; None for all of the setting's.
        gae_lambda: lambda of the advantages.
    """

    memory: int = 64
    world: bool = False
    only: int | None = None
    gae_lambda: float = 0.98


ARMS = {
    "direct": Arm(only=TARGET),
    "direct_transfer": Arm(only=8),
    "direct_transfer_21": Arm(only=21),
    "dr_uni": Arm(memory=0),
    "dr_uni_lambda_1": Arm(memory=0, gae_lambda=1.0),
    "world_only": Arm(memory=0, world=True),
    "dr_osi": Arm(),
    "sim2rec": Arm(world=True),
}
"""``dr_uni_lambda_1`` is the memoryless policy with Monte Carlo advantages, which suit it better than the others';
``world_only`` knows the world and not the user."""


def worlds_of(setting: str) -> tuple[int, ...]:
    """The chocs of a setting: ``alpha=A`` leaves out those nearer than A to the target, ``from=10`` those below 10."""
    kind, _, value = setting.partition("=")
    if kind == "alpha":
        return tuple(choc for choc in CHOCS if abs(choc - TARGET) >= int(value))
    return tuple(choc for choc in CHOCS if choc >= int(value))


@dataclass(frozen=True)
class Job:
    """One training run.

    Attributes:
        setting: see :func:`worlds_of`.
        arm: name of the arm.
        seed: root seed.
        steps: user-steps to learn from, those of the first look at the worlds included.
    """

    setting: str
    arm: str
    seed: int
    steps: int

    @property
    def key(self) -> str:
        """A name for files."""
        return f"{self.setting}_{self.arm}_{self.seed}_{self.steps}".replace("=", "")

    def worlds(self) -> tuple[int, ...]:
        """The chocs that it learns in."""
        only = ARMS[self.arm].only
        return worlds_of(self.setting) if only is None else (only,)

    def agent(self) -> RecurrentPPO:
        """The agent before it has learned anything; every world has the same number of users, about 450 in all."""
        arm, worlds = ARMS[self.arm], self.worlds()
        config = RecurrentPPOConfig(ordered=True, gae_lambda=arm.gae_lambda, learning_rate=1.5e-3, memory=arm.memory)
        chocs = [float(choc) for choc in worlds for _ in range(round(USERS / len(worlds)))]
        made = Sim2RecConfig(config) if arm.world else config
        return RecurrentPPO(made, task(chocs[0] if len(worlds) == 1 else chocs), len(chocs), self.seed)
