"""A task's arguments from words of a command line, and its help, both from the signature.

    --name VALUE, --name=VALUE      a parameter; `my_name` is --my-name
    --names A B C                   a list, set or tuple: all words up to the next option; `--names=` is the empty one
    --args A B                      `*args`
    --anything VALUE                with `**kwargs`

Words after `--name` that begin with `--` need the form with `=`. A parameter given twice has its last value. Everything here belongs to
the task: only `--help` and `-h` are ours, unless a parameter has that name.
"""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from enum import Enum
from typing import Any, NamedTuple

from redun.cli.errors import CommandError
from redun.task import Task
from redun.value import get_type_registry

_Kind = inspect.Parameter
_SEVERAL = frozenset(
    (
        list,
        set,
        frozenset,
        tuple,
        collections.abc.Sequence,
        collections.abc.MutableSequence,
        collections.abc.Iterable,
        collections.abc.Collection,
        collections.abc.Set,
        collections.abc.MutableSet,
    )
)


class ArgumentError(CommandError, ValueError):
    """Words of the command line do not fit the task's signature."""


class HelpAsked(Exception):
    """The words ask for the task's help."""


class Parameter(NamedTuple):
    """One parameter of a task.

    Attributes:
        name, kind, default: as in the signature.
        annotation: resolved; `inspect.Parameter.empty` if there is none or it cannot be resolved.
        several: whether it takes any number of words.
        help: what the docstring says of it.
    """

    name: str
    kind: Any
    default: Any
    annotation: Any
    several: bool
    help: str

    @property
    def flag(self) -> str:
        """How it is given: `--my-name`."""
        return "--" + (self.name if self.name.startswith("_") else self.name.replace("_", "-"))

    @property
    def required(self) -> bool:
        """True if there is no default and no `*`."""
        return self.default is _Kind.empty and self.kind not in (_Kind.VAR_POSITIONAL, _Kind.VAR_KEYWORD)

    @property
    def metavar(self) -> str:
        """What stands for its value in a usage: its name in capitals, or the members of an enum."""
        name = self.name.upper()
        if isinstance(self.annotation, type) and issubclass(self.annotation, Enum):
            name = "{" + ",".join(self.annotation.__members__) + "}"
        return f"{name} [{name} ...]" if self.several and not _is_fixed_tuple(self.annotation) else name

    @property
    def type_text(self) -> str:
        """The name of its type, empty if it is text as it stands."""
        from redun.argument_text import type_label

        if self.annotation in (_Kind.empty, str, Any):
            return ""
        if _is_fixed_tuple(self.annotation):
            return " ".join(map(type_label, typing.get_args(_plain(self.annotation))))
        if self.several:
            item = _item_type(self.annotation)
            return f"{type_label(item) if item is not Any else 'text'} ..."
        return type_label(self.annotation)


class TaskArguments:
    """The arguments of one task.

    Args:
        task: the task.
        script, name: what the user typed for script and task, for messages.
    """

    def __init__(self, task: Task[Any, Any], script: str, name: str | None = None) -> None:
        self.task = task
        self.script = script
        self.name = name or task.fullname
        doc, texts = _split_docstring(inspect.getdoc(task.func) or "")
        self.doc = doc
        annotations = _annotations(task)
        self.parameters = [
            Parameter(
                name=parameter.name,
                kind=parameter.kind,
                default=parameter.default,
                annotation=annotations.get(parameter.name, _Kind.empty),
                several=parameter.kind is _Kind.VAR_POSITIONAL or _takes_several(annotations.get(parameter.name)),
                help=texts.get(parameter.name, ""),
            )
            for parameter in task.signature.parameters.values()
        ]
        self._rest = next((p for p in self.parameters if p.kind is _Kind.VAR_KEYWORD), None)
        self._by_flag: dict[str, Parameter] = {}
        named = [parameter for parameter in self.parameters if parameter is not self._rest]
        for parameter in named:
            # The existing package has all of them in small letters.
            self._by_flag.setdefault(parameter.flag.lower(), parameter)
        for parameter in named:
            self._by_flag[f"--{parameter.name}"] = parameter
            self._by_flag[parameter.flag] = parameter

    def parse(
        self, words: list[str], base: tuple[tuple[Any, ...], dict[str, Any]] | None = None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return positional and keyword arguments for a call of the task.

        Args:
            base: arguments that words lie over: of an earlier job, or from a file.

        Raises:
            CommandError: a word that does not fit, or an argument that is missing.
            HelpAsked: `--help` is among the words.
        """
        given, more = self._split(*base) if base is not None else ({}, {})
        place = 0
        while place < len(words):
            word = words[place]
            place += 1
            flag, equals, text = word.partition("=")
            if word in ("-h", "--help") and word not in self._by_flag:
                raise HelpAsked
            parameter = self._by_flag.get(flag)
            name = flag[2:].replace("-", "_")
            if parameter is None and self._rest is not None and flag.startswith("--") and name.isidentifier():
                parameter = Parameter(name, _Kind.KEYWORD_ONLY, _Kind.empty, self._rest.annotation, False, "")
            if parameter is None:
                raise self._unknown(word)
            texts = [text] if equals else []
            if not equals:
                most = len(words) if parameter.several else place + 1
                while place < min(most, len(words)) and not words[place].startswith("--"):
                    texts.append(words[place])
                    place += 1
            if not texts:
                raise self._refuse(f"{flag} needs a value", f"{flag} {parameter.type_text or 'TEXT'}")
            home = more if parameter.name not in {p.name for p in self.parameters if p is not self._rest} else given
            home[parameter.name] = self._value(parameter, texts, bool(equals))
        return self._call(given, more)

    def _split(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return arguments of a call by the names of parameters, and those that go to `**kwargs`."""
        try:
            bound = self.task.signature.bind_partial(*args, **kwargs)
        except TypeError as error:
            raise self._refuse(f"the arguments given for it do not fit: {error}", self._usage()) from None
        given = dict(bound.arguments)
        more = dict(given.pop(self._rest.name, {})) if self._rest is not None else {}
        return given, more

    def _value(self, parameter: Parameter, texts: list[str], whole: bool) -> Any:
        parse = get_type_registry().parse_arg
        annotation = parameter.annotation
        try:
            if not parameter.several:
                return parse(annotation, texts[0])
            item = _item_type(annotation)
            if parameter.kind is _Kind.VAR_POSITIONAL:
                return [parse(annotation, text) for text in texts]
            if whole and texts == [""]:
                texts = []
            if texts in (["None"], ["none"], ["null"]) and _may_be_none(annotation) and item not in (str, Any):
                return None
            if len(texts) == 1 and texts[0].startswith("[") and item not in (str, Any):
                return parse(annotation, texts[0])
            return _collect(annotation, [parse(kind, text) for kind, text in _kinds(annotation, texts)])
        except CommandError:
            raise
        except Exception as error:
            from redun.argument_text import type_label

            text = " ".join(texts)
            reason = str(error).removesuffix(f", found {text!r}")
            wanted = item if parameter.several else annotation
            kind = "text" if wanted in (_Kind.empty, Any) else "function" if _is_function(wanted) else type_label(wanted)
            raise ArgumentError(
                f"argument {parameter.flag}: invalid {kind} value: {text!r}: {reason} (task {self.task.fullname!r})"
            ) from error

    def _call(self, given: dict[str, Any], more: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        missing = [parameter for parameter in self.parameters if parameter.required and parameter.name not in given]
        if missing:
            names = ", ".join([parameter.flag for parameter in missing])
            raise self._refuse(f"missing {'arguments' if len(missing) > 1 else 'argument'} {names}", self._usage())
        args: list[Any] = []
        rest = given.pop(next((p.name for p in self.parameters if p.kind is _Kind.VAR_POSITIONAL), ""), [])
        positional = [p for p in self.parameters if p.kind in (_Kind.POSITIONAL_ONLY, _Kind.POSITIONAL_OR_KEYWORD)]
        # Positional-only parameters, and all that stand before *args, have no other way in.
        last = max(
            [place for place, p in enumerate(positional) if rest or (p.kind is _Kind.POSITIONAL_ONLY and p.name in given)],
            default=-1,
        )
        for parameter in positional[: last + 1]:
            args.append(given.pop(parameter.name, parameter.default))
        return (*args, *rest), {**given, **more}

    def _unknown(self, word: str) -> ArgumentError:
        flag = word.partition("=")[0]
        if not flag.startswith("--"):
            return self._refuse(f"unexpected {word!r}", "arguments are given as --name VALUE")
        import difflib

        from redun.cli.commands.run import command

        known = [parameter.flag for parameter in self.parameters if parameter is not self._rest]
        near = difflib.get_close_matches(flag, known, n=2)
        if near:
            return self._refuse(f"no argument {flag}", f"did you mean {' or '.join(near)}?")
        if any(flag in option.opts for option in command.params):
            return self._refuse(f"no argument {flag}", "options of 'redun run' come before the script")
        return self._refuse(f"no argument {flag}", f"expected one of {', '.join(known)}" if known else "it takes none")

    def _refuse(self, what: str, hint: str) -> ArgumentError:
        return ArgumentError(f"task {self.task.fullname!r}: {what}: {hint} (see 'redun run {self.script} {self.name} help')")

    def _usage(self) -> str:
        return " ".join([f"{one.flag} {one.type_text or 'TEXT'}" for one in self.parameters if one.required])

    def help(self) -> str:
        """Return the task's help."""
        import click

        formatter = click.HelpFormatter(width=max(min(_columns(), 100), 50))
        shown = [parameter for parameter in self.parameters if parameter is not self._rest]
        parts = [
            f"{p.flag} {p.metavar}" if p.required else f"[{p.flag} {p.metavar}]"
            for p in sorted(shown, key=lambda p: not p.required)
        ]
        if self._rest is not None:
            parts.append(f"[--NAME {self._rest.metavar} ...]")
        formatter.write_usage(f"redun run {self.script} {self.name}", " ".join(parts))
        if self.doc:
            formatter.write_paragraph()
            formatter.write("".join([f"  {line}".rstrip() + "\n" for line in self.doc.splitlines()]))
        rows = [(f"{p.flag} {p.metavar}", _help_text(p)) for p in shown]
        if "--help" not in self._by_flag:
            rows.append(("--help", "Show this help, as does the word help."))
        with formatter.section("Arguments"):
            formatter.write_dl(rows)
        return formatter.getvalue()


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns


def _help_text(parameter: Parameter) -> str:
    from redun.evaluation.text import format_value

    notes = [parameter.type_text] if parameter.type_text else []
    if parameter.required:
        notes.append("required")
    elif parameter.kind is not _Kind.VAR_POSITIONAL:
        default = parameter.default
        notes.append(f"default: {default.name if isinstance(default, Enum) else format_value(default, 80)}")
    note = f"[{'; '.join(notes)}]" if notes else ""
    return f"{parameter.help}  {note}" if parameter.help and note else parameter.help or note


def _annotations(task: Task[Any, Any]) -> dict[str, Any]:
    """Resolve the annotations of a task's parameters; one that cannot be resolved is left out, so its argument is text."""
    function = inspect.unwrap(task.func)
    scope = getattr(function, "__globals__", {})
    found = {}
    for parameter in task.signature.parameters.values():
        annotation = parameter.annotation
        if annotation is _Kind.empty:
            continue
        try:
            holder = types.SimpleNamespace(__annotations__={parameter.name: annotation})
            found[parameter.name] = typing.get_type_hints(holder, scope, include_extras=True)[parameter.name]
        except Exception:
            if not isinstance(annotation, str):
                found[parameter.name] = annotation
    return found


def _plain(annotation: Any) -> Any:
    """Take `Annotated` and `None` off: `Optional[list[int]]` is `list[int]` for one who counts words."""
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = annotation.__origin__
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        inner = [arg for arg in typing.get_args(annotation) if arg is not type(None)]
        return _plain(inner[0]) if len(inner) == 1 else annotation
    return annotation


def _may_be_none(annotation: Any) -> bool:
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = annotation.__origin__
    return type(None) in typing.get_args(annotation)


def _is_function(annotation: Any) -> bool:
    plain = _plain(annotation)
    return (typing.get_origin(plain) or plain) is collections.abc.Callable


def _takes_several(annotation: Any) -> bool:
    plain = _plain(annotation)
    return (typing.get_origin(plain) or plain) in _SEVERAL if isinstance(plain, type) or typing.get_origin(plain) else False


def _item_type(annotation: Any) -> Any:
    plain = _plain(annotation)
    if not _takes_several(annotation):
        return plain
    args = typing.get_args(plain)
    return args[0] if args and args != ((),) else Any


def _is_fixed_tuple(annotation: Any) -> bool:
    plain = _plain(annotation)
    args = typing.get_args(plain)
    return typing.get_origin(plain) is tuple and bool(args) and args[-1] is not Ellipsis and args != ((),)


def _kinds(annotation: Any, texts: list[str]) -> list[tuple[Any, str]]:
    """Pair each word with the type of its item.

    Raises:
        ValueError: a tuple of fixed length has another number of items.
    """
    if _is_fixed_tuple(annotation):
        args = typing.get_args(_plain(annotation))
        if len(texts) != len(args):
            raise ValueError(f"expected {len(args)} values, found {len(texts)}")
        return list(zip(args, texts, strict=True))
    return [(_item_type(annotation), text) for text in texts]


def _collect(annotation: Any, items: list[Any]) -> Any:
    plain = _plain(annotation)
    kind = typing.get_origin(plain) or plain
    if kind in (tuple, frozenset):
        return kind(items)
    return set(items) if kind in (set, collections.abc.Set, collections.abc.MutableSet) else items


def _split_docstring(doc: str) -> tuple[str, dict[str, str]]:
    """Return a docstring without its `Args:` section, and name -> text of that section (Google form)."""
    kept: list[str] = []
    texts: dict[str, str] = {}
    inside, name = False, ""
    for line in doc.splitlines():
        if line.strip() in ("Args:", "Arguments:", "Parameters:") and not line.startswith(" "):
            inside, name = True, ""
        elif inside and line.strip() and not line.startswith(" "):
            inside = False
            kept.append(line)
        elif not inside:
            kept.append(line)
        elif line.strip():
            head, colon, text = line.strip().partition(":")
            word = head.split("(")[0].strip().lstrip("*")
            if colon and word.isidentifier() and len(line) - len(line.lstrip()) <= 4:
                name = word
                texts[name] = text.strip()
            elif name:
                texts[name] = f"{texts[name]} {line.strip()}"
    return "\n".join(kept).strip(), texts
