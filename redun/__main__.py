"""`python -m redun`: the command line, where the `redun` program is not on the path."""

import sys

from redun.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
