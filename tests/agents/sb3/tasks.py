"""Small tasks for every kind of action, shared by the tests of the agents."""

from dataclasses import replace

from recgym.agents.sb3 import A2CConfig, DQNConfig, PPOConfig, SACConfig, TD3Config
from recgym.agents.sb3.configs import AnyConfig
from recgym.envs import FullCatalogue, Task
from recgym.envs.interest_evolution import task as interest_evolution
from recgym.envs.long_term_satisfaction import task as long_term_satisfaction

FLAT = long_term_satisfaction()
ONE = interest_evolution(num_candidates=5, slate_size=1, num_documents=30)
SLATES = interest_evolution(num_candidates=4, slate_size=2, num_documents=30)
CATALOGUE = replace(ONE, candidates=FullCatalogue(), mask_consumed=True, horizon=15)
PREFERENCE = replace(SLATES, action="preference")

CASES: dict[str, tuple[AnyConfig, Task]] = {
    "ppo flat": (PPOConfig(n_steps=30), FLAT),
    "ppo slates": (PPOConfig(n_steps=16), SLATES),
    "ppo catalogue": (PPOConfig(n_steps=16, anneal=True), CATALOGUE),
    "ppo preference": (PPOConfig(n_steps=16), PREFERENCE),
    "a2c one": (A2CConfig(), ONE),
    "dqn flat": (DQNConfig(learning_starts=64, buffer_size=400), FLAT),
    "dqn catalogue": (DQNConfig(learning_starts=64), CATALOGUE),
    "sac preference": (SACConfig(learning_starts=64), PREFERENCE),
    "sac fixed temperature": (SACConfig(learning_starts=64, ent_coef=0.1), PREFERENCE),
    "td3 preference": (TD3Config(learning_starts=64), PREFERENCE),
}
