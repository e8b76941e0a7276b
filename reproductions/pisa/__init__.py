"""Next sessions of people who come back to what they know: PISA, and the simple baselines that most papers leave out.

Each user's last sessions are foreseen from all before; all items are ranked, those of the user's past too; ties count
against the model; settings of the baselines are chosen on the sessions before. The logs: people of known memory
(ACT-R), two controls without any memory (a Markov chain, independent draws), a shop's invoices and the edits of an
encyclopaedia. The table is filled run by run: what is done is kept in the work folder and not run again.

Source: Transformers Meet ACT-R (arXiv 2408.16578). Differences from the paper: (1) its logs are not public at the size
used there, so its figures are references for ratios alone; (2) on invoices a session is what a customer bought without
a day's pause; (3) edits have an order but no times: each is a session of its own, a unit of time after the last; (4)
what :class:`recgym.encoders.pisa.PISAConfig` lists.

Settled while results were looked at: the memory of the made-up people is noisier than at first (with less noise,
personal frequency foretold three quarters of a session, and little was left to tell models apart), and with it the grid
from which ``actr-repeat`` is chosen; PISA and SASRec have the paper's width of 128, after a width of 64 had been tried
to save time: vectors of 64 numbers cannot keep 2,000 items apart well enough to rank what a user knows.

On the log of known memory PISA misses both of its claims. What was tried: a width of 512, with one seed, lifts PISA's
NDCG@10 from 0.126 to 0.156 and SASRec's from 0.103 to 0.123, so the ratio stays near 1.25; the long-term interest
alone, untrained, has 0.129 and 0.162 at these widths. So what limits it here is how well a product of two vectors can
rank, among 2,000 items, those that somebody knows; recommenders that count need no vectors, and what is new to a user
can hardly be foretold on this log: even the oracle, in the notes, has next to nothing there.
"""
