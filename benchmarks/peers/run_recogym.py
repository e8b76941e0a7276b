"""Time RecoGym's environment ``reco-gym-v1`` with a random policy; runs on the Python of the peer environment.

``python run_recogym.py --seconds 3`` prints one JSON object. A step is one recommendation and the views that follow it
until the next one; a user who leaves is followed by another. RecoGym's agents, its evaluation and its plots are not
imported, as stepping does not use them and they ask for a dozen packages more.
"""

import argparse
import importlib.util
import json
import random
import sys
import time
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent / "standins"))

import numpy as np

STEPS_PER_CLOCK = 100


def _environments() -> Any:
    """RecoGym's module of environments, without what its packages import beside them."""
    spec = importlib.util.find_spec("recogym")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    package, agents = ModuleType("recogym"), ModuleType("recogym.agents")
    package.__path__ = list(spec.submodule_search_locations)
    agents.Agent = object  # type: ignore[attr-defined]  # an annotation
    sys.modules |= {"recogym": package, "recogym.agents": agents}
    return importlib.import_module("recogym.envs")


def make(seed: int = 0) -> Any:
    """The environment with its own settings: ten products."""
    module = _environments()
    env = module.RecoEnv1()
    env.init_gym({**module.env_1_args, "random_seed": seed})
    return env


def steps_per_second(env: Any, seconds: float) -> float:
    """Recommendations a second over at least ``seconds``, new users included, after a warm-up of a tenth of that."""
    draw, products = random.Random(0).randrange, env.config.num_products

    def begin() -> None:
        while True:
            env.reset()
            if not env.step(None)[2]:  # the first views; some users leave before anything is recommended
                return

    def timed(limit: float) -> float:
        steps, start, elapsed = 0, time.perf_counter(), 0.0
        while elapsed < limit:
            for _ in range(STEPS_PER_CLOCK):
                if env.step(draw(products))[2]:
                    begin()
            steps += STEPS_PER_CLOCK
            elapsed = time.perf_counter() - start
        return steps / elapsed

    begin()
    timed(seconds / 10)
    return timed(seconds)


def main() -> None:
    """Read the flags, time the environment, print the rate and the versions."""
    parser = argparse.ArgumentParser(description="Steps per second of RecoGym.")
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    rate = steps_per_second(make(), args.seconds)
    versions = {"recogym": version("recogym"), "numpy": np.__version__, "python": sys.version.split()[0]}
    print(json.dumps({"steps_per_s": rate, "versions": versions}))


if __name__ == "__main__":
    main()
