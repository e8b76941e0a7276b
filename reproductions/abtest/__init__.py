"""A/B tests on simulated users keep their levels and have the power that was planned.

The users are those of ``recgym/ShortVideo-v0`` under a random policy; the metric is the return of a session, which is
counted, skewed and of no known law. Experiments are drawn from them with replacement, so the truth is known.

* A/A, 20,000 users, looked at every 100: how often each way of comparing finds a difference that is not there. Tests
  for a fixed horizon and group sequential tests (five looks) have to be at 5 %, always-valid ones at 5 % or below, and
  a fixed horizon that is peeked at shows why they are needed.
* A/B with a planted effect of a twentieth of the spread, each test with the users that its own plan asks for: measured
  power against the plan. The plans of always-valid tests are simulated, on normal users.
* A/B of two policies, planned from their difference.
* Thompson sampling between equal arms: how often the intervals of plain and of adaptively weighted means cover.

Variances are estimated everywhere. Always-valid tests count looks from 100 users an arm on (the burn-in).

``python -m reproductions.abtest`` takes a few minutes, ``--quick`` less than three.
"""
