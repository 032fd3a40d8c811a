"""Answers of a model by label: predict, recommend, explain, fold in, ask, update. Recommender hands over to these."""
