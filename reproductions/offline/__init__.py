"""Agents that learn from logs, side by side on a simulated and on a real one.

Behaviour cloning of all episodes and of the best tenth, DiscreteCQL, DiscreteBCQ, IQL and TD3+BC of d3rlpy, DT, DT4IER
and TSCAC learn from the same users and with the same number of updates.

*   ``recgym/ShortVideo-v0`` over several sessions: a log of 100,000 steps of a softmax policy. Every policy serves the
    same simulated users, which gives its true value; beside it stand estimates from users of the log who were held
    out, and whether these rank the policies as the truth does.
*   EB-NeRD: a step is the article that a user picked of those in view, worth the share of the page that was scrolled
    through. Nobody knows what another pick would have brought, so there are estimates only: each seed holds a fifth of
    the users out, and no user is held out twice.

What stands against the figures: propensities of EB-NeRD's picks are not on record, so a policy cloned on the training
users stands for the users; that log has no features of items, and the preference vectors of IQL and TD3+BC are over
random codes there; arms of d3rlpy take the best action for certain, which is worth something by itself, so they are
held against cloning that does the same, and few logged steps speak of them; and nothing is tuned for a single arm.
"""
