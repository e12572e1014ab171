"""The command line of redun (click): what a user types and sees.

Installed as `redun.cli` only. A user's own `cli.py` beside a workflow must stay theirs, so this package refuses to be
imported under any other name.

Scripts and tests may import `RedunClient`, `setup_scheduler`, `import_script` and the other names of `redun.cli.client` from here.
"""

if __name__ != "redun.cli":
    raise ImportError(
        f"this package is redun.cli, it cannot be imported as {__name__!r}: install redun, do not put its folder on sys.path"
    )


def __getattr__(name: str) -> object:
    # Loaded when asked for: the commands themselves do not need it.
    if not name.startswith("_"):
        from importlib import import_module

        client = import_module("redun.cli.client")
        if name in client.__all__:
            return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
