"""Time RecSim's environments with a random policy; runs on the Python of the peer environment, needs numpy alone.

``python run_recsim.py --env interest_evolution --candidates 10 --slate 2 --seconds 3`` prints one JSON object. The
policy draws distinct candidates with ``random.sample``, which costs no more than the shuffle of RecSim's own random
agent. Documents are drawn anew at each step, and an episode that ends is followed by ``reset``.
"""

import argparse
import json
import random
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent / "standins"))

import numpy as np
from recsim.environments import interest_evolution, long_term_satisfaction

ENVIRONMENTS = {"long_term_satisfaction": long_term_satisfaction, "interest_evolution": interest_evolution}
STEPS_PER_CLOCK = 100


def steps_per_second(env: Any, candidates: int, slate: int, seconds: float) -> float:
    """Steps a second over at least ``seconds``, resets included, after a warm-up of a tenth of that."""
    draw = random.Random(0).sample
    choices = range(candidates)
    env.reset()

    def timed(limit: float) -> float:
        steps, start, elapsed = 0, time.perf_counter(), 0.0
        while elapsed < limit:
            for _ in range(STEPS_PER_CLOCK):
                _, _, done, _ = env.step(draw(choices, slate))
                if done:
                    env.reset()
            steps += STEPS_PER_CLOCK
            elapsed = time.perf_counter() - start
        return steps / elapsed

    timed(seconds / 10)
    return timed(seconds)


def main() -> None:
    """Read the flags, time one environment, print the rate and the versions."""
    parser = argparse.ArgumentParser(description="Steps per second of one RecSim environment.")
    parser.add_argument("--env", choices=sorted(ENVIRONMENTS), required=True)
    parser.add_argument("--candidates", type=int, default=10)
    parser.add_argument("--slate", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    np.random.seed(0)  # noqa: NPY002  RecSim draws from the global generator
    config = {
        "num_candidates": args.candidates,
        "slate_size": args.slate,
        "resample_documents": True,
        "seed": 0,
    }
    env = ENVIRONMENTS[args.env].create_environment(config)
    rate = steps_per_second(env, args.candidates, args.slate, args.seconds)
    versions = {"recsim": version("recsim"), "numpy": np.__version__, "python": sys.version.split()[0]}
    print(json.dumps({"steps_per_s": rate, "versions": versions}))


if __name__ == "__main__":
    main()
