"""Regret of bandits where the truth is known.

Claims: LinUCB and LinTS learn, so that their regret grows ever more slowly; bandits that forget, or learn how fast
weights drift, lose less where weights drift, and the latter hardly more where they do not; sharing what is known within
clusters of arms helps where there are clusters and does not where there are none; on the same rounds ours and those of
MABWiser and the Open Bandit Pipeline lose as much.

Sources: Li et al., WWW 2010; Agrawal and Goyal, ICML 2013; Zeng et al., KDD 2016; Russac et al., NeurIPS 2019; arXiv
2107.00161. Differences from the papers, which use private logs: worlds are simulated
(:class:`recgym.simulators.bandit_contextual.ContextualBandit`, :class:`...bandit_clustered.ClusteredBandit`), so that
regret is known.

Run: ``python -m reproductions.bandits [--quick] [--out FILE]``. The peers' regret is in ``peers.json``, made by
``run_peers.py`` in an environment that has ``mabwiser`` and ``obp==0.4.1``.
"""
