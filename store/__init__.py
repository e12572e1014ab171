"""The object store: bytes, ids, links and refs; it never hears of a task or a workflow.

Installed as `redun.store` only. A user's own `store.py` beside a workflow must stay theirs, so this package refuses to be
imported under any other name.
"""

if __name__ != "redun.store":
    raise ImportError(
        f"this package is redun.store, it cannot be imported as {__name__!r}: install redun, do not put its folder on sys.path"
    )
