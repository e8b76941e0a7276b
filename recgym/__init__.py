"""The reinforcement-learning gym for sequential recommendation; importing it registers the environments."""

from recgym.envs.registration import register_environments

register_environments()
