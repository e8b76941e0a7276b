"""Settings of d3rlpy's algorithms, by the names that d3rlpy gives them, with defaults for logs of users.

Discrete algorithms have one output an item of the catalogue and score those on offer. Continuous ones give preference
vectors: they serve environments that take such, and rank the candidates by the dot product with their features for all
others. Values are documented in d3rlpy; its own defaults are for robots and games.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from recgym.agents.d3rlpy.learner import D3RLPyLearner
from recgym.agents.offline.base import OfflineConfig
from recgym.agents.offline.networks import Parts
from recgym.agents.sb3.config import NetworkConfig

__all__ = [
    "D3RLPY_CONFIGS", "BCConfig", "CQLConfig", "D3RLPyConfig", "DecisionTransformerConfig", "DiscreteBCConfig",
    "DiscreteBCQConfig", "DiscreteCQLConfig", "DiscreteDecisionTransformerConfig", "IQLConfig", "ReBRACConfig",
    "TD3PlusBCConfig",
]  # fmt: skip


@dataclass(frozen=True)
class D3RLPyConfig:
    """What all of them share.

    Attributes:
        batch_size: steps (or stretches of them) in an update.
        temperature: of the softmax by which a policy draws items; 0 always shows the best.
        network: the networks; only ``hidden`` and the encoder count. A frozen encoder's states are worked out once; one
            that learns is copied into each network.
    """

    name: ClassVar[str]
    algorithm: ClassVar[str]
    discrete: ClassVar[bool] = False
    chained: ClassVar[bool] = False
    sequences: ClassVar[bool] = False

    batch_size: int = 256
    temperature: float = 0.0
    network: NetworkConfig = field(default_factory=lambda: NetworkConfig(hidden=(256, 256)))

    def __post_init__(self) -> None:
        if self.temperature < 0 or self.batch_size < 1:
            raise ValueError(
                f"temperature must not be negative and batch_size must be at least 1, found {self.temperature:g} and "
                f"{self.batch_size}"
            )

    def learner(self, parts: Parts) -> D3RLPyLearner:
        """See :class:`recgym.agents.offline.OfflineConfig`."""
        return D3RLPyLearner(self, parts)


@dataclass(frozen=True)
class DiscreteBCConfig(D3RLPyConfig):
    """Behaviour cloning of items; the policy draws them as the log did."""

    name: ClassVar[str] = "d3rlpy-discrete-bc"
    algorithm: ClassVar[str] = "DiscreteBC"
    discrete: ClassVar[bool] = True

    temperature: float = 1.0
    learning_rate: float = 1e-3
    beta: float = 0.0


@dataclass(frozen=True)
class DiscreteCQLConfig(D3RLPyConfig):
    """Conservative Q-learning of items, https://arxiv.org/abs/2006.04779."""

    name: ClassVar[str] = "d3rlpy-discrete-cql"
    algorithm: ClassVar[str] = "DiscreteCQL"
    discrete: ClassVar[bool] = True

    learning_rate: float = 3e-4
    gamma: float = 0.99
    n_critics: int = 1
    target_update_interval: int = 1000
    alpha: float = 1.0


@dataclass(frozen=True)
class DiscreteBCQConfig(D3RLPyConfig):
    """Batch-constrained Q-learning of items, https://arxiv.org/abs/1910.01708."""

    name: ClassVar[str] = "d3rlpy-discrete-bcq"
    algorithm: ClassVar[str] = "DiscreteBCQ"
    discrete: ClassVar[bool] = True

    learning_rate: float = 3e-4
    gamma: float = 0.99
    n_critics: int = 1
    target_update_interval: int = 1000
    action_flexibility: float = 0.3
    beta: float = 0.0


@dataclass(frozen=True)
class BCConfig(D3RLPyConfig):
    """Behaviour cloning of preference vectors."""

    name: ClassVar[str] = "d3rlpy-bc"
    algorithm: ClassVar[str] = "BC"

    learning_rate: float = 1e-3


@dataclass(frozen=True)
class IQLConfig(D3RLPyConfig):
    """Implicit Q-learning of preference vectors, https://arxiv.org/abs/2110.06169."""

    name: ClassVar[str] = "d3rlpy-iql"
    algorithm: ClassVar[str] = "IQL"

    actor_learning_rate: float = 3e-4
    critic_learning_rate: float = 3e-4
    gamma: float = 0.99
    tau: float = 0.005
    expectile: float = 0.7
    weight_temp: float = 3.0
    max_weight: float = 100.0


@dataclass(frozen=True)
class TD3PlusBCConfig(D3RLPyConfig):
    """TD3 and behaviour cloning of preference vectors, https://arxiv.org/abs/2106.06860."""

    name: ClassVar[str] = "d3rlpy-td3-bc"
    algorithm: ClassVar[str] = "TD3PlusBC"

    actor_learning_rate: float = 3e-4
    critic_learning_rate: float = 3e-4
    gamma: float = 0.99
    tau: float = 0.005
    alpha: float = 2.5
    update_actor_interval: int = 2


@dataclass(frozen=True)
class CQLConfig(D3RLPyConfig):
    """Conservative Q-learning of preference vectors, https://arxiv.org/abs/2006.04779."""

    name: ClassVar[str] = "d3rlpy-cql"
    algorithm: ClassVar[str] = "CQL"

    actor_learning_rate: float = 1e-4
    critic_learning_rate: float = 3e-4
    gamma: float = 0.99
    tau: float = 0.005
    conservative_weight: float = 5.0
    alpha_threshold: float = 10.0


@dataclass(frozen=True)
class ReBRACConfig(D3RLPyConfig):
    """ReBRAC of preference vectors, https://arxiv.org/abs/2305.09836.

    Its critic asks what was done next, so steps at which an episode was cut off are left out.
    """

    name: ClassVar[str] = "d3rlpy-rebrac"
    algorithm: ClassVar[str] = "ReBRAC"
    chained: ClassVar[bool] = True

    actor_learning_rate: float = 1e-3
    critic_learning_rate: float = 1e-3
    gamma: float = 0.99
    tau: float = 0.005
    actor_beta: float = 0.001
    critic_beta: float = 0.01
    update_actor_interval: int = 2


@dataclass(frozen=True)
class _Transformer(D3RLPyConfig):
    """What both decision transformers share.

    Attributes:
        prompt: quantile of the log's returns to go, at each step, that the policy asks for.
        context_size: steps that are read.
        max_timestep: steps are counted up to here.
        num_heads: of attention; they divide the last width of ``network.hidden``, which is that of the transformer.
        num_layers: of the transformer.
        learning_rate: of the optimiser.
    """

    sequences: ClassVar[bool] = True

    batch_size: int = 64
    prompt: float = 0.9
    context_size: int = 20
    max_timestep: int = 1000
    num_heads: int = 4
    num_layers: int = 2
    learning_rate: float = 1e-3
    network: NetworkConfig = field(default_factory=lambda: NetworkConfig(hidden=(128,)))

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.prompt <= 1:
            raise ValueError(f"prompt is a quantile in [0, 1], found {self.prompt:g}")
        if self.network.hidden[-1] % self.num_heads:
            raise ValueError(f"{self.num_heads} heads do not divide the width {self.network.hidden[-1]}")


@dataclass(frozen=True)
class DecisionTransformerConfig(_Transformer):
    """Decision transformer with preference vectors, https://arxiv.org/abs/2106.01345."""

    name: ClassVar[str] = "d3rlpy-dt"
    algorithm: ClassVar[str] = "DecisionTransformer"


@dataclass(frozen=True)
class DiscreteDecisionTransformerConfig(_Transformer):
    """Decision transformer of items; a run that is taken up again warms its learning rate up anew, as d3rlpy does."""

    name: ClassVar[str] = "d3rlpy-discrete-dt"
    algorithm: ClassVar[str] = "DiscreteDecisionTransformer"
    discrete: ClassVar[bool] = True

    temperature: float = 1.0


D3RLPY_CONFIGS: dict[str, type[OfflineConfig]] = {
    config.name: config
    for config in (
        DiscreteBCConfig, DiscreteCQLConfig, DiscreteBCQConfig, DiscreteDecisionTransformerConfig,
        BCConfig, IQLConfig, TD3PlusBCConfig, CQLConfig, ReBRACConfig, DecisionTransformerConfig,
    )
}  # fmt: skip
"""d3rlpy's algorithms, by the names that the command line and checkpoints call them."""
