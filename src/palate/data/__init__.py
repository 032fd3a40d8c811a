"""Ratings and how they come in: labels, reading, splitting, checking, features, data sets."""
