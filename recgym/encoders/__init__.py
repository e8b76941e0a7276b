"""What a policy's state is made of: encoders of sets of users and of their sequences."""

from recgym.encoders.sadae import SADAE, SADAEConfig, SetPosterior, linear_probe

__all__ = ["SADAE", "SADAEConfig", "SetPosterior", "linear_probe"]
