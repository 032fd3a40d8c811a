"""The Gibbs sampler behind `palate.Bayes`: what a sweep draws, and what is kept of the draws.

Read it in this order. A sweep draws, each given all the rest:

1. `chain.py`, `Chain.draw_sweep`: one sweep, step by step. It also draws the noise: each user's and all ratings'.
2. `sides.py`, `Side.draw_prior`: for each side the Normal-Wishart prior of its vectors, then the link from side
   information. The chain then draws all vectors with the kernel `solve_rows`, those of items before those of users.
3. `targets.py`, `Targets.draw`: the targets that the vectors are fitted to. Plain ratings stay as they are; otherwise
   `time_effects.py` draws effects of sessions, days and drift, which are subtracted, and `cutpoints.py` draws the cut
   points between ordered ratings, given which the latent score of each rating is drawn.

After each sweep past the burn-in, `averaging.py`, `Average.add`, keeps of the draw:

4. `distilling.py`: its part in the mean prediction, as factors of one low rank.
5. `thinning.py`: now and then the whole draw, as a posterior sample.

and tells by its `Probe` when more sweeps would no longer change predictions. At the end, `own_levels.py` adds what
users' own choices say of items without ratings.
"""
