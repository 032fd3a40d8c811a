"""`python -m palate`: the command line."""

from palate.cli import main

if __name__ == "__main__":
    main()
