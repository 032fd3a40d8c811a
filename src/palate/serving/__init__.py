"""palate serve: a model over HTTP, with a page to look at it. Needs the extra: pip install 'palate[serve]'."""
