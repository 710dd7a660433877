"""`python -m metertwin.cli`: what a runtime starts, whatever the PATH is."""

from metertwin.cli.main import main

if __name__ == "__main__":
    main()
