"""palate: collaborative filtering with latent factors."""

__version__ = "0.1.0"
