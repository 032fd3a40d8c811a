"""What a model can be asked, by label: predict, recommend, explain, fold in, update."""
