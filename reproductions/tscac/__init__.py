"""TSCAC on short videos (arXiv 2302.01680): watch time raised on a log, and no other response may suffer.

Every arm learns from the same log of 100,000 steps of a softmax policy whose propensities are on record, and serves the
same test users. What is compared are means per video: of watch time, likes, comments and hates as the simulator
expects them, since a rate of 0.05 % would drown in noise. Settings of an arm (lambdas, weights) are chosen on
validation users who are neither in the log nor in the test.

Differences from the paper: users are simulated; the log is that of a known softmax policy; the auxiliary responses are
like, comment and hate; and those that :class:`recgym.agents.constrained.TSCAC` lists.
"""
