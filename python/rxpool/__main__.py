"""``python -m rxpool``: the command."""

import sys

from rxpool.cli import main

if __name__ == "__main__":
    sys.exit(main())
