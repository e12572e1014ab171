"""`python -m redun`: the command line, where the `redun` program is not on the path."""

import sys

try:
    from redun.cli.main import main
except KeyboardInterrupt:
    # Ctrl-C while Python imports.
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(main())
