"""DT4IER (arXiv 2404.03637) in closed loop: does it get the immediate feedback and the returns that it is asked for?

``python -m reproductions.dt4ier [--quick]``. Users of ``recgym/Retention-v0`` click what glitters and come back for
what is good, so immediate feedback and return frequency pull apart. A log of mixed quality is recorded: each user is
served by one of six policies, from random over click-greedy to return-friendly, made of item features and
observations. On it learn a decision transformer with one scalar return-to-go, DT4IER with two, DT4IER without its
balance network, without its reward buckets and without its contrastive term, and behaviour cloning. All serve the
same new users.

Differences from the paper: (1) what is measured is what new simulated users do, not ratings that a model foretells
for a log; (2) candidates are 10 of 200 items at each step, an action is one of them; (3) the networks have width 64
and learn from batches of 64 windows (the paper: 128 and 128), without dropout, as the log is large; (4) see also the
differences that :class:`recgym.agents.decision_transformer.DT4IERConfig` lists.

The scalar rivals are two: one is told the task's own reward (minus the days away), one the sum of both parts, each in
units of its mean in the log. DT4IER may be asked for any point inside the log's support; which one, is settled on
users of their own, apart from those of the test.
"""
