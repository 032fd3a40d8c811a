"""The parts of the Bayesian chain: what is drawn in each sweep, and what is kept of it."""
