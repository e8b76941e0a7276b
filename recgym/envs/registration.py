"""The environments in Gymnasium's registry: the only registry that recgym has."""

import gymnasium as gym

__all__ = ["register_environments", "registered"]

_MODULES = {
    "LongTermSatisfaction-v0": ("recgym.envs.long_term_satisfaction", ""),
    "LongTermSatisfactionRecSim-v0": ("recgym.envs.long_term_satisfaction", "recsim_"),
    "InterestEvolution-v0": ("recgym.envs.interest_evolution", ""),
    "ShortVideo-v0": ("recgym.envs.short_video", ""),
    "Retention-v0": ("recgym.envs.retention", ""),
    "Relisten-v0": ("recgym.envs.relisten", ""),
    "InterestExploration-v0": ("recgym.envs.interest_exploration", ""),
    "OrganicBandit-v0": ("recgym.envs.organic_bandit", ""),
    "ContextualBandit-v0": ("recgym.envs.bandit_contextual", ""),
    "DriftingBandit-v0": ("recgym.envs.bandit_drifting", ""),
    "ClusteredBandit-v0": ("recgym.envs.bandit_clustered", ""),
    "CascadeBandit-v0": ("recgym.envs.bandit_cascade", ""),
    "OpenBandit-v0": ("recgym.envs.open_bandit", ""),
    "LearnedUsers-v0": ("recgym.envs.learned_users", ""),
}


def register_environments() -> None:
    """Register every environment, once. The end of an episode belongs to the task, so no step limit is added."""
    for name, (module, prefix) in _MODULES.items():
        if f"recgym/{name}" not in gym.registry:
            gym.register(
                id=f"recgym/{name}",
                entry_point=f"{module}:{prefix}env",
                vector_entry_point=f"{module}:{prefix}vector_env",
            )


def registered() -> tuple[str, ...]:
    """The ids of recgym's environments."""
    return tuple(sorted(name for name in gym.registry if name.startswith("recgym/")))
