"""Commands that are run as scripts on executors: that `redun` in them is this one."""

from __future__ import annotations

import os
import shutil
import sys


def put_redun_on_path() -> None:
    """Let commands that this process starts find `redun`, if they could not: it stands beside the Python that runs us."""
    if shutil.which("redun") is None:
        os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
