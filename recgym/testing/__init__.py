"""Contract checks that run on every user model, environment, policy, encoder and estimator, ours or yours.

Each ``check_*`` function raises an ``AssertionError`` of one sentence that says what was expected and what was found,
and returns nothing if all is well. Call them from your own tests::

    from recgym.testing import check_environment, check_user_model

    def test_my_users() -> None:
        check_user_model(MyUsers())

    def test_my_environment() -> None:
        check_environment("mine/MyEnvironment-v0")

The same checks, one by one and by name, are in :func:`user_model_checks` and :func:`environment_checks`.
"""

from recgym.testing.agent import check_agent
from recgym.testing.bandit import check_bandit
from recgym.testing.checks import Check, Result, run_checks
from recgym.testing.encoder import check_encoder
from recgym.testing.environment import check_environment, environment_checks
from recgym.testing.estimator import check_estimator
from recgym.testing.leakage import check_chance, check_encoder_no_leak, check_no_leak
from recgym.testing.user_model import check_user_model, user_model_checks

__all__ = [
    "check_user_model", "check_environment", "check_agent", "check_bandit", "check_encoder", "check_estimator",
    "check_no_leak", "check_encoder_no_leak", "check_chance",
    "Check", "Result", "user_model_checks", "environment_checks", "run_checks",
]  # fmt: skip
