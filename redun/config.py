"""Configuration: `.redun/redun.ini`, where it is found, what it may say, and the store that it leads to.

Found by, first match wins: a folder that is given (`--config`), `REDUN_CONFIG`, the nearest `.redun` in this folder or one above it;
else `./.redun`, to be created. It is an INI file, keys are case-sensitive. `${name}` in a value stands for an environment variable,
else an option of the same section, else one of `[DEFAULT]`; `${section:name}` for an option of another section; `$$` for `$`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redun.config_rules import check_values, warnings
from redun.config_section import DEFAULT, Section
from redun.errors import ConfigError, ConfigFileMissing, ContextTwice, DuplicateSection

if TYPE_CHECKING:
    from redun.store.repository import Store

FOLDER = ".redun"
INI = "redun.ini"
VARIABLE = "REDUN_CONFIG"

DEFAULT_INI = """\
# Configuration of redun. ${NAME} in a value stands for an environment variable or another option of the section.

[backend]
# Where results are kept; a local disk is best. By default the folder "store" beside this file.
# path = /scratch/${USER}/redun-store

[limits]
# How many jobs may use a resource at once, for tasks with limits=["db"].
# db = 4

[executors.default]
type = local
max_workers = 20
"""


class Config:
    """A configuration: section -> option -> text.

    Sections with dots are nested: `[executors.default]` is `config["executors"]["default"]`.

    Args:
        config_dict: section -> options, as from `get_config_dict`; sections may also be nested.
        configdir: the folder that relative paths start from; of the file that is read by default.
    """

    def __init__(self, config_dict: Mapping[str, Any] | None = None, configdir: str | None = None) -> None:
        self._raw: dict[str, dict[str, str]] = {}
        self._tree: dict[str, Any] = {}
        self._configdir = configdir
        self._sources: dict[str, str] = {}
        self.source = "configuration"
        if config_dict is not None:
            self.read_dict(config_dict)

    @property
    def configdir(self) -> str:
        """The folder of the configuration."""
        return self._configdir if self._configdir is not None else FOLDER

    @property
    def configdir_known(self) -> bool:
        """True if it came from a folder."""
        return self._configdir is not None

    def read_path(self, filename: str | os.PathLike[str]) -> None:
        """Read a file, in addition to what has been read.

        Raises:
            ConfigError: it cannot be read or is no INI file; names the line.
        """
        path = Path(filename)
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"configuration {str(path)!r} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"configuration {str(path)!r} is not UTF-8 text: {error.reason} at byte {error.start}") from error
        if self._configdir is None:
            self._configdir = str(path.parent)
        self.source = str(path)
        self.read_string(text)

    def read_string(self, string: str) -> None:
        """Read the text of an INI file, in addition to what has been read.

        Raises:
            ConfigError: it is no INI file; names the line.
        """
        import configparser

        parser = configparser.RawConfigParser(default_section=DEFAULT, interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        try:
            parser.read_string(string)
        except configparser.Error as error:
            raise ConfigError(f"{self.source}: {_describe(error)}") from None
        defaults = dict(parser.defaults())
        if defaults:
            self._raw.setdefault(DEFAULT, {}).update(defaults)
        for name in parser.sections():
            own = {option: text for option, text in parser.items(name) if option not in defaults or text != defaults[option]}
            self._raw.setdefault(name, {}).update(own)
        self._build()

    def read_dict(self, config_dict: Mapping[str, Any]) -> None:
        """Take sections from a dict, in addition to what has been read; values that are no text become JSON."""
        for name, section in config_dict.items():
            self._take(name, section)
        self._build()

    def import_sections(self, other: Config, kinds: Iterable[str]) -> None:
        """Take the sections `[KIND.NAME]` of another configuration.

        Raises:
            DuplicateSection: this one has a section of that name already.
        """
        for section in list(other.sections()):
            kind, dot, name = section.name.partition(".")
            if not dot or kind not in kinds:
                continue
            if section.name in self._raw:
                what = kind[:-1] if kind.endswith("s") else kind
                first = self._sources.get(section.name, self.source)
                raise DuplicateSection(
                    f"Imported {what} name `{name}` is a duplicate: section [{section.name}] is in {first!r} and in {other.source!r}"
                )
            # Interpolated over there; nothing in it is to be looked up here.
            self._raw[section.name] = {option: text.replace("$", "$$") for option, text in section.items()}
            self._sources[section.name] = other.source
        self._build()

    def complete(self, config_dir: str) -> None:
        """Say which folder it came from, and add the sections that are taken for granted."""
        self._configdir = config_dir
        self.read_dict({"repos.default": {"config_dir": config_dir}})
        for name in ("backend", "scheduler"):
            self._raw.setdefault(name, {})
        self._raw["backend"]["config_dir"] = config_dir
        file = self._raw["scheduler"].get("context_file")
        if file and not os.path.isabs(file):
            self._raw["scheduler"]["context_file"] = os.path.normpath(os.path.join(os.getcwd(), config_dir, file))
        self._build()

    def source_of(self, section: str) -> str:
        """Return the file that a section comes from."""
        return self._sources.get(section, self.source)

    def _take(self, name: str, section: Mapping[str, Any]) -> None:
        if not isinstance(section, Mapping):
            raise ConfigError(f"{self.source}: section [{name}] must hold options, found {section!r}")
        options = self._raw.setdefault(name, {})
        for option, value in section.items():
            if isinstance(section, Section) or not isinstance(value, Mapping) or name == "scheduler":
                options[option] = _as_text(value)
            else:
                self._take(f"{name}.{option}", value)
        if not options and section:
            del self._raw[name]

    def _build(self) -> None:
        tree: dict[str, Any] = {}
        for name in self._raw:
            if name == DEFAULT:
                continue
            *parents, last = name.split(".")
            folder = tree
            for parent in parents:
                # A section may have options as well as sections below it.
                inner = folder.get(parent, {})
                folder[parent] = folder = dict(inner.items())
            section = Section(name, self._raw, self.source_of(name))
            below = folder.get(last)
            folder[last] = {**dict(section.items()), **below} if isinstance(below, dict) else section
        self._tree = tree

    def sections(self) -> Iterator[Section]:
        """Yield every section under its full name, `[DEFAULT]` left out."""
        for name in self._raw:
            if name != DEFAULT:
                yield Section(name, self._raw, self.source_of(name))

    def get(self, key: str, default: Any = None) -> Any:
        """Return a section, or a dict of the sections whose names begin with `key.`, or `default`."""
        return self._tree.get(key, default)

    def keys(self) -> Iterator[str]:
        """Return the names of the outermost sections."""
        return iter(self._tree.keys())

    def items(self) -> Iterator[tuple[str, Any]]:
        """Return names and content of the outermost sections."""
        return iter(self._tree.items())

    def __getitem__(self, key: str) -> Any:
        return self._tree[key]

    def __contains__(self, key: object) -> bool:
        return key in self._tree

    def __iter__(self) -> Iterator[str]:
        return iter(self._tree)

    def as_written(self) -> dict[str, dict[str, str]]:
        """Return full section name -> option -> text as it stands in the file: `${NAME}` stays, so no secret of the environment is told."""
        return {name: dict(options) for name, options in self._raw.items()}

    def get_config_dict(self, replace_config_dir: str | None = None) -> dict[str, dict[str, str]]:
        """Return full section name -> option -> text, interpolated; `Config` makes the same configuration of it.

        Args:
            replace_config_dir: what to write instead of the configuration folder wherever a text names it: for another machine.
        """
        found = {section.name: dict(section.items()) for section in self.sections()}
        if replace_config_dir is not None and self._configdir:
            here = self._configdir
            found = {
                name: {option: text.replace(here, replace_config_dir) for option, text in options.items()}
                for name, options in found.items()
            }
        return found

    def check(self) -> list[str]:
        """Return warnings about sections and options that nobody reads, each naming the nearest known one.

        Raises:
            ConfigError: a value that cannot work; names file, section and option.
        """
        check_values(self.sections())
        read_context(self)
        return list(warnings(self.sections(), self.source))


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    import json

    return "" if value is None else json.dumps(value) if isinstance(value, dict | list | bool) else str(value)


def _describe(error: Any) -> str:
    """Word what `configparser` refused."""
    import configparser

    if isinstance(error, configparser.MissingSectionHeaderError):
        return f"line {error.lineno}: expected a section such as [backend] first, found {error.line.strip()!r}"
    if isinstance(error, configparser.DuplicateSectionError):
        return f"line {error.lineno}: section [{error.section}] is there twice"
    if isinstance(error, configparser.DuplicateOptionError):
        return f"line {error.lineno}: option {error.option!r} is there twice in section [{error.section}]"
    if isinstance(error, configparser.ParsingError) and error.errors:
        line, text = error.errors[0]
        if text[:1] in ("'", '"'):
            import ast

            # Up to Python 3.12 the text comes as its repr.
            text = ast.literal_eval(text)
        return f"line {line}: expected [section] or option = value, found {text.strip()[:80]!r}"
    return str(error)


def create_config_section(config_dict: Mapping[str, Any] | None = None) -> Section:
    """Return a section made of a dict, for executors that are made in Python."""
    texts = {key: _as_text(value) for key, value in (config_dict or {}).items()}
    return Section("section", {"section": texts}, "configuration")


def find_folder(explicit: str | os.PathLike[str] | None = None) -> Path:
    """Return the configuration folder that counts here, whether or not it exists yet; creates nothing.

    Args:
        explicit: the folder of `--config`.

    Raises:
        ConfigError: `explicit` holds no redun.ini, or what should be a folder is a file.
    """
    if explicit is not None:
        folder = Path(explicit)
        if not folder.is_dir():
            what = "is a file, expected a folder" if folder.exists() else "does not exist"
            raise ConfigError(f"configuration folder {str(folder)!r} {what}: 'redun init' makes one")
        if not (folder / INI).is_file():
            hint = f"did you mean {str(folder / FOLDER)!r}?" if (folder / FOLDER / INI).is_file() else "'redun init' makes one"
            raise ConfigError(f"configuration folder {str(folder)!r} holds no {INI}: {hint}")
        return folder.absolute()
    named = os.environ.get(VARIABLE)
    if named:
        return _no_file(Path(named).absolute())
    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise ConfigError("the working folder does not exist any more: change to another one") from None
    for folder in (here, *here.parents):
        if os.path.lexists(folder / FOLDER):
            return _no_file(folder / FOLDER)
    return here / FOLDER


def _no_file(folder: Path) -> Path:
    if os.path.lexists(folder) and not folder.is_dir():
        raise ConfigError(f"{str(folder)!r} is not a folder, but the configuration folder must be one: move it out of the way")
    return folder


def make_folder(folder: Path) -> bool:
    """Create a configuration folder with a redun.ini, unless they exist; any number of processes may do so at once.

    Returns:
        True if redun.ini was written.

    Raises:
        ConfigError: permissions, full disk, ...
    """
    ini = folder / INI
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if ini.exists():
            return False
        import tempfile

        # Others must see the whole file or none, and whose was first stays.
        number, name = tempfile.mkstemp(prefix=f"{INI}.", suffix=".partial", dir=folder)
        partial = Path(name)
        with open(number, "w", encoding="utf-8") as stream:
            stream.write(DEFAULT_INI)
        # mkstemp makes files that nobody else may read; a configuration is as readable as its folder.
        partial.chmod(folder.stat().st_mode & 0o666)
        try:
            os.link(partial, ini)
        except FileExistsError:
            return False
        except OSError:
            os.replace(partial, ini)
            return True
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"configuration folder {str(folder)!r} cannot be made: {error.strerror}: {error.filename}") from error
    return True


def load_config(folder: Path) -> Config:
    """Return the configuration of a folder; the empty one if it has no redun.ini.

    Raises:
        ConfigError: redun.ini cannot be read.
    """
    config = Config(configdir=str(folder))
    if (folder / INI).exists():
        config.read_path(folder / INI)
        import_federated(config)
    return config


def import_federated(config: Config) -> None:
    """Take executors and federated tasks from the folders that `[scheduler] federated_configs` lists, one a line.

    A relative folder is looked for in the configuration folder, then in the working folder.

    Raises:
        ConfigError: one of them cannot be read, or names something that is there already.
    """
    section = config.get("scheduler")
    text = section.get("federated_configs") if section is not None else None
    for line in (text or "").splitlines():
        folder = line.strip()
        if not folder:
            continue
        beside = Path(config.configdir, folder, INI)
        path = beside if beside.exists() else Path(folder, INI)
        if not path.is_file():
            raise ConfigFileMissing(
                f"{section.where('federated_configs')}: No such file or directory. {path}: expected folders with a {INI}, one a line"
            )
        other = Config()
        other.read_path(path)
        config.import_sections(other, ("executors", "federated_tasks"))


def open_store(
    config_dir: str | os.PathLike[str] | None = None,
    config: Config | None = None,
    *,
    create: bool = True,
    readonly: bool = False,
) -> Store:
    """Open the store of a configuration.

    Args:
        config_dir: the configuration folder; the one that counts here by default.
        config: its content, if the caller has read it.
        create: make it if it is not there.
        readonly: only to be read; it must exist then.

    Raises:
        ConfigError: the configuration cannot be read.
        StoreError: the store cannot be opened.
    """
    from redun.store.repository import Store

    folder = Path(config_dir) if config_dir is not None else find_folder()
    if config is None:
        config = load_config(folder)
    section = config.get("backend") or Section("backend", {}, config.source)
    path = store_path(config)
    exclusive = section.getboolean("exclusive") if "exclusive" in section else None
    return Store.open(path, create=create, readonly=readonly, exclusive=exclusive)


def store_path(config: Config) -> Path:
    """Return the folder of the store that a configuration names."""
    section = config.get("backend")
    return Path(config.configdir, os.path.expanduser((section.get("path") if section is not None else None) or "store"))


def read_context(config: Config) -> dict[str, Any]:
    """Return the context that `[scheduler] context` or `context_file` gives to every execution.

    Raises:
        ConfigError: both are set, or it is no JSON object.
    """
    section = config.get("scheduler")
    if section is None:
        return {}
    text, path = section.get("context"), section.get("context_file")
    if text and path:
        raise ContextTwice(f"{section.where('context')} and 'context_file' exclude each other: keep one")
    if text:
        return parse_context(text, section.where("context"))
    return read_context_file(Path(config.configdir, path), section.where("context_file")) if path else {}


def read_context_file(path: Path, where: str) -> dict[str, Any]:
    """Return the context of a JSON file.

    Args:
        where: what named the file, to begin a message with.

    Raises:
        ConfigError: it cannot be read or is no JSON object.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{where}: context file {str(path)!r} cannot be read: {reason}") from error
    return parse_context(text, f"{where}: context file {str(path)!r}")


def parse_context(text: str, where: str) -> dict[str, Any]:
    """Return the context that a JSON text holds.

    Raises:
        ConfigError: it is no JSON object.
    """
    import json

    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: expected a JSON object: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError(f'{where}: expected a JSON object such as {{"name": 1}}, found {text[:80]!r}')
    return found


__all__ = [
    "Config",
    "Section",
    "create_config_section",
    "find_folder",
    "load_config",
    "make_folder",
    "open_store",
    "parse_context",
    "read_context",
    "read_context_file",
]
