"""The command line of redun (click): what a user types and sees.

Installed as `redun.cli` only. A user's own `cli.py` beside a workflow must stay theirs, so this package refuses to be
imported under any other name.
"""

if __name__ != "redun.cli":
    raise ImportError(
        f"this package is redun.cli, it cannot be imported as {__name__!r}: install redun, do not put its folder on sys.path"
    )
