"""Trained models, in codes: factors of every kind, the posterior, time effects, side information, cold start."""
