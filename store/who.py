"""Who runs this process, as records name it."""

from __future__ import annotations

import os


def user_name() -> str | None:
    """Return the user's name as `getpass.getuser` finds it (which loads what asks for passwords); None for a user without one."""
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        if name := os.environ.get(variable):
            return name
    import pwd

    try:
        return pwd.getpwuid(os.getuid())[0]
    except (KeyError, OSError):
        # A user id without a name, as in containers.
        return None


def host_name() -> str:
    """Return the machine's name as `socket.gethostname` does, without loading what talks to networks."""
    return os.uname().nodename


def user_at_host() -> str:
    """Return who we are in words."""
    return f"{user_name() or os.getuid()}@{host_name()}"
