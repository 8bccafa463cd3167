"""`python -m balora` is the command line."""

import sys

from balora.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
