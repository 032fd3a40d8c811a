"""The version of palate: what files, pages and the command line say."""

__version__ = "0.1.0"
