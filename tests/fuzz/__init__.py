"""Hostile input without end: texts of conditions, model files and calls of kernels, made by Hypothesis: `make fuzz`."""
