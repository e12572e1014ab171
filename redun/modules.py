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
        ImportError: a script has the name of a module that is in use and is not the user's.
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
    if name not in sys.modules or is_taken(name) or "." in name:
        return
    found = importlib.machinery.PathFinder.find_spec(name)
    if found is None or not _same_file(found.origin, sys.modules[name]):
        del sys.modules[name]


def find_script(path: Path) -> Path:
    """Return where a script is: where its path says, else, for a bare file name, in the first folder of `sys.path` that has it.

    Python's own folders and those of installed packages do not count. The path stays as it is if there is no such script.
    """
    if path.exists() or len(path.parts) != 1:
        return path
    installed = _installed()
    for folder in sys.path:
        if os.path.realpath(folder) not in installed and Path(folder, path).is_file():
            return Path(folder, path)
    return path


def load_script(path: Path) -> ModuleType:
    """Import a script; see `import_script`."""
    path = find_script(path).absolute()
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
    """True if a module of that name is in use that is not the user's own: Python's, redun's, or of an installed package."""
    module = sys.modules.get(name)
    if module is None or isinstance(getattr(module, "__loader__", None), _SourceLoader):
        return False
    file = getattr(module, "__file__", None)
    if file is None or name in sys.stdlib_module_names or name == "redun" or hasattr(module, "__path__"):
        return True
    return any(os.path.realpath(file).startswith(folder + os.sep) for folder in _installed())


def _installed() -> set[str]:
    """Return the folders that packages are installed in."""
    import sysconfig

    return {os.path.realpath(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib", "platstdlib")}


def _same_file(origin: str | None, module: ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    return origin is not None and file is not None and os.path.realpath(origin) == os.path.realpath(file)


def put_first(folder: str) -> None:
    """Have modules looked for in a folder before all others, here and in workers."""
    add_import_path(folder)
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)
