"""Loading the script or module that a command line names (`redun.modules`), with messages; finding tasks in it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from redun.cli.errors import CommandError, is_users, user_traceback
from redun.cli.session import current_session
from redun.modules import find_script, forget_script, is_script, load_script, put_first
from redun.task import Task, get_task_registry


def load(name: str) -> ModuleType:
    """Import a script or module.

    Args:
        name: path of a script (`flows/main.py`), or name of a module (`flows.main`).

    Raises:
        CommandError: it does not exist, cannot be read, or fails while it is imported.
    """
    current_session().settle(last=True)
    if is_script(name):
        return _load_script(Path(name))
    return _load_module(name)


def _load_script(path: Path) -> ModuleType:
    path = find_script(path)
    if not path.exists():
        raise CommandError(f"script {str(path)!r} does not exist{_near_script(path)}")
    if not path.is_file():
        raise CommandError(f"script {str(path)!r} is a folder, expected a Python file")
    module: ModuleType = _run_import(path.name, lambda: load_script(path), _as_module(path))
    return module


def _as_module(path: Path) -> str:
    """Return how a script that stands in a package is run as a module of it, as a remark; nothing for any other script."""
    folder = path.absolute().parent
    names = [path.name.removesuffix(".py")]
    while (folder / "__init__.py").exists():
        names.insert(0, folder.name)
        folder = folder.parent
    if len(names) == 1:
        return ""
    where = "" if folder == Path.cwd() else f" in folder {str(folder)!r}"
    return f": a script of a package runs as a module, 'redun run {'.'.join(names)} ...'{where}"


def _load_module(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise CommandError(f"no script or module {name!r}: expected a path such as flow.py, or a module such as flows.main")
    put_first(os.getcwd())
    forget_script(name)
    # Finding a module imports the packages around it.
    spec = _run_import(name, lambda: _find_module(name))
    if spec is None:
        raise CommandError(f"no script or module {name!r}{_near_script(Path(name))}")
    if spec.origin is None and not spec.has_location:
        # A folder without __init__.py is a package to Python, with nothing in it.
        raise CommandError(f"{name!r} is a folder, expected a Python file, or a module such as {name}.main")
    module: ModuleType = _run_import(name, lambda: importlib.import_module(name))
    return module


def _find_module(name: str) -> Any:
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        # The package around it is missing, unless it is one that the package itself imports.
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            return None
        raise


def _run_import(name: str, run: Any, hint: str = "") -> Any:
    """Run what imports something.

    Args:
        hint: what to say beside where a relative import has failed.
    """
    try:
        return run()
    except SyntaxError as error:
        if error.filename is None:
            raise CommandError(f"{name!r} cannot be imported: {error.msg}") from error
        raise CommandError(f"{_place(error)}: syntax error: {error.msg}", _offending_line(error)) from error
    except SystemExit as error:
        raise CommandError(
            f"{name!r} ended itself with sys.exit({error.code!r}) while it was imported", user_traceback(error)
        ) from error
    except Exception as error:
        if error.__traceback__ is None or not _reaches_user(error):
            raise CommandError(f"{name!r} cannot be imported: {error}") from error
        more = hint if isinstance(error, ImportError) and "relative import" in str(error) else ""
        raise CommandError(f"{name!r} failed while it was imported: {_summary(error)}{more}", user_traceback(error)) from error


def _reaches_user(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace is not None:
        if is_users(trace.tb_frame.f_code.co_filename):
            return True
        trace = trace.tb_next
    return False


def _summary(error: BaseException) -> str:
    first = str(error).splitlines()[:1]
    return f"{type(error).__name__}: {first[0]}" if first else type(error).__name__


def _place(error: SyntaxError) -> str:
    line = f", line {error.lineno}" if error.lineno else ""
    return f"file {error.filename!r}{line}"


def _offending_line(error: SyntaxError) -> str:
    if not error.text:
        return ""
    text = error.text.rstrip("\n")
    stripped = text.lstrip()
    lines = [f"    {stripped}"]
    if error.offset:
        lines.append("    " + " " * max(error.offset - 1 - (len(text) - len(stripped)), 0) + "^")
    return "\n".join(lines)


def _near_script(path: Path) -> str:
    import difflib

    folder = path.parent
    names = [entry.name for entry in folder.glob("*.py")] if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=2) or difflib.get_close_matches(f"{path.name}.py", names, n=2)
    return f": did you mean {' or '.join([repr(str(folder / name)) for name in near])}?" if near else ""


def user_tasks() -> list[Task[Any, Any]]:
    """Return the tasks that the user's code has defined, by fullname; those that `wraps_task` hides left out."""
    tasks = [
        task
        for task in get_task_registry()
        if not task.load_module.startswith("redun.") and "_wrapper" not in (task.namespace or "").split(".")
    ]
    return sorted(tasks, key=lambda task: task.fullname)


def find_task(module: ModuleType, name: str, script: str) -> Task[Any, Any]:
    """Return a task by fullname, or by name within the module's namespace, or by name if only one task has it.

    Args:
        module: the module of the script.
        name: what the user typed.
        script: what the user typed for the script, for messages.

    Raises:
        CommandError: there is none, or several; near names are listed.
    """
    registry = get_task_registry()
    namespace = getattr(module, "redun_namespace", None)
    found = (registry.get(f"{namespace}.{name}") if namespace else None) or registry.get(name)
    if found is not None:
        return found
    tasks = user_tasks()
    same = [task for task in tasks if task.name == name]
    own = [task for task in same if task.load_module == module.__name__]
    same = own or same
    if len(same) == 1:
        return same[0]
    if same:
        raise CommandError(f"task {name!r} is ambiguous in {script!r}: {_listed(task.fullname for task in same)}")
    raise CommandError(f"no task {name!r} in {script!r}{_suggestion(name, tasks, namespace)}")


def _suggestion(name: str, tasks: list[Task[Any, Any]], namespace: str | None) -> str:
    import difflib

    if not tasks:
        return ": it defines no tasks (a task is a function under @task)"
    # By what is typed for them: the bare name within the script's namespace.
    names = {task.name if task.namespace == namespace else task.fullname: task for task in tasks}
    near = difflib.get_close_matches(name, names, n=3)
    if near:
        return f": did you mean {' or '.join(map(repr, near))}?"
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f": expected one of {_listed(list(names)[:10])}{more}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
