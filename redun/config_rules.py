"""What sections and options there are, so that a misspelt one is noticed and a bad value is refused before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from redun.errors import ConfigError

if TYPE_CHECKING:
    from redun.config_section import Section

# Section -> its options; None: any.
_OPTIONS: dict[str, frozenset[str] | None] = {
    "backend": frozenset(("capture_files", "config_dir", "exclusive", "path", "push_on_success", "remote_timeout", "remotes")),
    "scheduler": frozenset(
        (
            "boto_config",
            "capture_output",
            "capture_output_size",
            "context",
            "context_file",
            "federated_configs",
            "ignore_warnings",
            "job_status_interval",
            "setup_scheduler",
        )
    ),
    "gc": frozenset(("compact", "keep_last", "keep_tag", "keep_within", "max_size", "warn_size")),
    "limits": None,
    "keys": frozenset(("revoked",)),
}
# Sections that are written [KIND.NAME]; their options go to whatever they describe.
_NAMED = frozenset(("executors", "repos", "federated_tasks"))
# What is read in such sections; everything else may be an option of tasks, so only what looks misspelt is told.
_NAMED_OPTIONS = {
    "executors": ("class", "max_workers", "mode", "scratch", "start_method", "target", "type"),
    "federated_tasks": ("config_dir", "description", "executor", "load_module", "namespace", "new_execution", "task_name"),
}
_WARNINGS = ("namespace",)
_LOCAL_TYPES = ("local", "process", "thread")
# Options of the SQL database that the existing package has and this one has not.
_WITHOUT_USE = frozenset(
    (
        "db_uri",
        "db_aws_secret_name",
        "db_username_env",
        "db_password_env",
        "automigrate",
        "value_store_path",
        "value_store_min_size",
        "max_value_size",
    )
)


def warnings(sections: Iterable[Section], source: str) -> Iterator[str]:
    """Yield a text for each section and option that nobody reads."""
    for section in sections:
        kind, dot, _ = section.name.partition(".")
        if kind in _NAMED:
            if not dot:
                yield f"{source}: section [{kind}] is not used: expected [{kind}.NAME]"
            elif kind == "repos":
                from redun.remotes import OPTIONS

                yield from _unknown_options(section, OPTIONS)
            else:
                yield from _misspelt(section, _NAMED_OPTIONS.get(kind, ()))
        elif section.name not in _OPTIONS:
            yield f"{source}: unknown section [{section.name}]{_near(section.name, [*_OPTIONS, *_NAMED], '[{}]')}"
        else:
            yield from _unknown_options(section, _OPTIONS[section.name])
            if section.name == "scheduler":
                for name in (section.get("ignore_warnings") or "").split():
                    if name not in _WARNINGS:
                        yield f"{section.where('ignore_warnings')}: no warning is called {name!r}: expected 'namespace'"


def _unknown_options(section: Section, known: frozenset[str] | None) -> Iterator[str]:
    if known is None:
        return
    # Options that others refer to as ${name} are variables, not mistakes.
    used = " ".join(section.texts.values())
    for option in section:
        if option in known or f"${{{option}}}" in used:
            continue
        if section.name == "backend" and option in _WITHOUT_USE:
            yield f"{section.where(option)} is not used: this redun keeps results in a store of files, see option 'path'"
        else:
            yield f"{section.where(option)} is unknown{_near(option, known, '{!r}')}"


def _misspelt(section: Section, known: tuple[str, ...]) -> Iterator[str]:
    unknown = [option for option in section if option not in known]
    if not unknown:
        return
    import difflib

    for option in unknown:
        near = difflib.get_close_matches(option, known, n=1, cutoff=0.8)
        if near:
            yield f"{section.where(option)} looks misspelt: did you mean {near[0]!r}? (it becomes an option of tasks)"


def _near(name: str, known: Iterable[str], form: str) -> str:
    import difflib

    found = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return (
        f": did you mean {form.format(found[0])}?"
        if found
        else f": expected one of {', '.join(map(form.format, sorted(known)))}"
    )


def check_values(sections: Iterable[Section]) -> None:
    """Raise ConfigError for the first value that cannot work, an unknown ${variable} included."""
    for section in sections:
        dict(section.items())
        if section.name == "limits":
            for option in section:
                _at_least(section, option, 0)
        elif section.name == "gc":
            from redun.retention import check_options

            check_options(section)
        elif section.name == "backend":
            section.getboolean("exclusive")
            section.getboolean("capture_files")
            if "remote_timeout" in section:
                from redun.readthrough import timeout_s

                timeout_s(section)
        elif section.name == "scheduler":
            section.getfloat("job_status_interval")
            read_boto_config(section)
        elif section.name.startswith("repos.") and section.name != "repos.default":
            from redun.remotes import read_repo

            read_repo(section, ".")
        elif section.name.startswith("executors."):
            _at_least(section, "max_workers", 1)
            if "class" not in section and section.get("type", "local") in _LOCAL_TYPES:
                _check_local(section)


def _check_local(section: Section) -> None:
    if "mode" in section or "start_method" in section:
        from redun.executors.local import LocalExecutor

        _one_of(section, "mode", [*LocalExecutor.MODES, *LocalExecutor.OLD_MODES])
        _one_of(section, "start_method", LocalExecutor.START_METHODS)


def _one_of(section: Section, option: str, known: list[str]) -> None:
    found = section.get(option)
    if found is not None and found not in known:
        raise ConfigError(f"{section.where(option)}: expected one of {', '.join(map(repr, known))}, found {found!r}")


def read_boto_config(section: Section) -> dict[str, Any]:
    """Return the arguments of boto3's `Config` that `[scheduler] boto_config` holds.

    Raises:
        ConfigError: it is no JSON object.
    """
    text = section.get("boto_config")
    if not text:
        return {}
    import json

    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{section.where('boto_config')}: expected a JSON object: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError(
            f'{section.where("boto_config")}: expected a JSON object such as {{"read_timeout": 300}}, found {text!r}'
        )
    return found


def _at_least(section: Section, option: str, least: int) -> None:
    count = section.getint(option)
    if count is not None and count < least:
        raise ConfigError(f"{section.where(option)}: expected an integer of at least {least}, found {section[option]!r}")
