"""Ratings and where they come from: vocabularies, reading, splitting, checking, features and data sets."""
