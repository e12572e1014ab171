"""Importing the script or module that a command line, a configuration or a worker names.

A script is imported under the name of its file without `.py`, with its folder first on `sys.path`, so that modules beside it can be
imported, whatever their names: `cli.py` and `store.py` of a user are theirs. `if __name__ == "__main__"` does not hold in it.

It is always compiled from its source. Python's own cache of compiled files trusts size and whole seconds of the file's time, so an edit
within a second of a run could go unnoticed, and a task would be recorded with another source than ran.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from redun.import_paths import add_import_path


class _SourceLoader(importlib.machinery.SourceFileLoader):
    """Compiles a file from source, neither reading nor writing a compiled copy."""

    def path_stats(self, path: str) -> Any:
        """Refuse, which keeps Python from looking for a compiled copy."""
        raise OSError("compiled copies are not used")


def is_script(name: str) -> bool:
    """True if a name is the path of a file rather than the name of a module."""
    return name.endswith(".py") or os.sep in name or os.path.isfile(name)


def import_script(filename_or_module: str, add_cwd: bool = True) -> ModuleType:
    """Import a script or module; a script anew each time.

    Args:
        filename_or_module: path of a script (`flows/main.py`), or name of a module (`flows.main`).
        add_cwd: whether modules may be found in the working folder.

    Raises:
        ModuleNotFoundError: there is no such script or module.
        ImportError: a script has the name of a module that is in use.
        Exception: whatever it raises while it is imported.
    """
    if is_script(filename_or_module):
        return load_script(Path(filename_or_module))
    if add_cwd:
        put_first(os.getcwd())
    forget_script(filename_or_module)
    return importlib.import_module(filename_or_module)


def forget_script(name: str) -> None:
    """Have a name looked up anew as a module, where a script from somewhere else has it: for many command lines in one process."""
    if name in sys.modules and not is_taken(name):
        del sys.modules[name]


def load_script(path: Path) -> ModuleType:
    """Import a script; see `import_script`."""
    path = path.absolute()
    name = path.name.removesuffix(".py")
    if not path.is_file():
        raise ModuleNotFoundError(f"script {str(path)!r} does not exist", name=name)
    if is_taken(name):
        raise ImportError(
            f"script {path.name!r} has the name of a module that is in use, {name!r}: give the file another name", name=name
        )
    put_first(str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path, loader=_SourceLoader(name, str(path)))
    if spec is None or spec.loader is None:
        raise ImportError(f"script {str(path)!r} cannot be imported", name=name)
    module = importlib.util.module_from_spec(spec)
    # As in a normal import, so that pickles, `import` in modules beside it, and sys.modules[cls.__module__] find it.
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        # Half a module must not be found by whoever asks next.
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise
    return module


def is_taken(name: str) -> bool:
    """True if a module of that name is in use that is no script."""
    module = sys.modules.get(name)
    return module is not None and not isinstance(getattr(module, "__loader__", None), _SourceLoader)


def put_first(folder: str) -> None:
    """Have modules looked for in a folder before all others, here and in workers."""
    add_import_path(folder)
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)
