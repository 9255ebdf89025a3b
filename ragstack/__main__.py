"""`python -m ragstack` is `ragstack`."""

from ragstack.cli import main

if __name__ == "__main__":
    main()
