"""Small wrong changes to the code, made one at a time, to see whether the tests notice: `make mutants`."""
