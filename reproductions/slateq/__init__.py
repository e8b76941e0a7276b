"""SlateQ (arXiv 1905.12767), section 6: slates chosen for their long-term value on users whose interests evolve.

Users bring 200 minutes and get slates of 3 of 10 candidates; a document has one of 20 topics, 14 of them of poor
quality; a good one gives time back. A myopic agent shows what is picked most, a long-term one what keeps users for
longer. Published, mean minutes a session after 300,000 steps: random 159.2, myopic 166.3, SARSA-TS 168.4, SARSA-GS
172.1, QL-TT-TS 168.4, QL-GT-GS 172.9, QL-OT-GS 173.8, QL-OT-OS 174.6.

The world is that of RecSim's release (arXiv 1909.04847), by the same authors:
:class:`recgym.simulators.InterestEvolution` with its defaults. Differences from the paper:

1. Picking nothing has a learned value (the null item of the paper's decomposition). RecSim's agent counts it as 0, so
   that each step at which nothing might be picked cuts the future short: the row ``QL-OT-OS, RecSim's null item``.
2. The choice model is learned from clicks; the paper's agents are given the true one.
3. The state holds the last three picks beside the user's interests; RecSim's the interests alone.
4. 1,024 users are stepped side by side, with 2 gradient steps of 512 transitions after each step of all, in double
   Q-learning; RecSim has one user and smaller steps. User-steps are as many: 300,000.
5. The catalogue holds 10,000 documents; RecSim draws each anew.
6. Each arm is trained with five seeds and served without exploration to 2,000 new users a seed, the same for all arms.
"""
