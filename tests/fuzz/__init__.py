"""Hostile input without end, made by Hypothesis: files, conditions, model files and calls of kernels: `make fuzz`."""
