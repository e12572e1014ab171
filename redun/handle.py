"""Handles: values that stand for something outside that changes, such as a database.

What a handle leads to cannot be hashed, so its state is *named* instead: by the constructor's arguments to begin with, then by the
chain of calls that it went through. A call takes a fork of the state and gives back a state named after the call, so the next
call has another argument after every change before it:

    conn  --fork "1"-->  argument of create()  --eval hash of create(...)-->  result  --fork "1"-->  argument of fill()  ...

Which states still hold is kept by the store (`redun.evaluation.handle_states`): calling something else on a state abandons what had
been reached from it, and a result that holds an abandoned state is not valid. So code that was changed and changed back runs again.

Only constructor arguments are stored, never what the instance holds; `__init__` runs again where the handle is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from redun.errors import EncodeError, HandleError
from redun.hashing import hash_struct, hash_text
from redun.namespace import compute_namespace
from redun.store.ids import ID_BYTES
from redun.value import InvalidValueError, Value, get_type_registry

__all__ = ["Handle", "get_fullname", "get_handle_class", "merged", "origin_id", "state_id"]


def get_handle_class(handle_class_name: str) -> type[Handle]:
    """Return the class of handles registered under a type's name.

    Raises:
        TypeError: there is none.
    """
    found: type[Handle] = get_type_registry().parse_type_name(handle_class_name)
    return found


def get_fullname(namespace: str | None, name: str) -> str:
    """Return the name of a handle with its namespace, if it has one."""
    return f"{namespace}.{name}" if namespace else name


def _values_hash(values: Sequence[Any]) -> str:
    from redun.encoding import ValueEncoder

    # By hash: an argument that hashes itself, such as a file, counts as its hash.
    return hash_struct([ValueEncoder(by_hash=True).encode(value) for value in values])


class Handle(Value):
    """Base of handles. A subclass defines `__init__(self, name, ...)`, which opens what the handle leads to.

        class Database(Handle):
            def __init__(self, name: str, path: str) -> None:
                self.instance = sqlite3.connect(path)

    Attributes that the handle does not have are those of `self.instance`, where that is set: `Database("db", "x.db").execute(...)`.

    Args:
        name: names what the handle leads to; handles of one name and namespace are the same thing.
        namespace: by default that of tasks defined in the class's module. To give another one, `__init__` has to take it as well.
    """

    type_name: ClassVar[str] = "redun.Handle"
    __handle__: Handle.HandleInfo
    if TYPE_CHECKING:
        # Or type checkers, given `__getattr__`, take a handle for a coroutine, and a task that returns one for an async task.
        __await__: ClassVar[None]

    class HandleInfo:
        """What redun knows of a handle.

        Attributes:
            name, namespace, fullname: what it leads to.
            args, kwargs: of the constructor, without name and namespace.
            class_name: type name of its class.
            call_hash: hash of what the state was reached by; empty at first.
            key: of the fork that it is, else empty.
            hash: names the state, 40 hex digits.
            fork_parent: the handle that it was forked from, where that is known.
            is_recorded: True if the store has heard of the state.
        """

        def __init__(
            self,
            name: str,
            args: tuple[Any, ...],
            kwargs: dict[str, Any],
            class_name: str,
            namespace: str | None = None,
            call_hash: str = "",
            hash: str | None = None,
            key: str = "",
        ) -> None:
            self.name = name
            self.namespace = namespace
            self.fullname = get_fullname(namespace, name)
            self.args = args
            self.kwargs = kwargs
            self.class_name = class_name
            self.call_hash = call_hash
            self.key = key
            self.hash = hash or self.get_hash()
            self.fork_parent: Handle | None = None
            self.is_recorded = False

        def get_state(self) -> dict[str, Any]:
            """Return what is stored: plain data."""
            return {
                "name": self.name,
                "namespace": self.namespace,
                "args": self.args,
                "kwargs": self.kwargs,
                "class_name": self.class_name,
                "call_hash": self.call_hash,
                "key": self.key,
                "hash": self.hash,
            }

        def get_hash(self) -> str:
            """Return the hash of the state: of the constructor's arguments at first, then of what it was reached by."""
            if self.call_hash:
                return hash_struct(["Handle", self.fullname, "call", self.key, self.call_hash])
            names = sorted(self.kwargs)
            try:
                args = _values_hash([*self.args, *[self.kwargs[name] for name in names]])
            except EncodeError as error:
                raise EncodeError(
                    f"an argument of handle {self.fullname!r} of {self.class_name!r} cannot be recorded: {error}"
                ) from error
            return hash_struct(["Handle", self.fullname, "init", self.key, names, args])

        def update_hash(self) -> None:
            """Compute the hash again."""
            self.hash = self.get_hash()

        def reached(self, handle: Handle, call_hash: str, key: str) -> Handle:
            """Return a handle to the same instance in the state reached from another by something with a hash."""
            reached = self.clone(handle)
            info = reached.__handle__
            info.call_hash = call_hash
            info.key = key
            info.update_hash()
            return reached

        def apply_call(self, handle: Handle, call_hash: str) -> Handle:
            """See `Handle.apply_call`."""
            return self.reached(handle, call_hash, "")

        def fork(self, handle: Handle, key: str) -> Handle:
            """See `Handle.fork`."""
            fork = self.reached(handle, handle.__handle__.hash, key)
            fork.__handle__.fork_parent = handle
            return fork

        def clone(self, handle: Handle) -> Handle:
            """Return another handle with the same instance and attributes; `__init__` does not run."""
            kind = type(handle)
            copy = kind.__new__(kind)
            state = self.get_state()
            # The hash is given: computing it would encode all arguments once more.
            copy.__handle__ = type(self)(**state)
            for name, value in handle.__dict__.items():
                if name != "__handle__":
                    copy.__dict__[name] = value
            return copy

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__dict__.get("type_name"):
            # Without the function that a class is defined in: stored states name their class so.
            cls.type_name = f"{cls.__module__}.{cls.__name__}"

    if not TYPE_CHECKING:
        # To type checkers `__init__` of the subclass says it all.

        def __new__(cls, name: str | None = None, *args: Any, namespace: str | None = None, **kwargs: Any) -> Handle:
            handle = super().__new__(cls)
            # Without a name when it is read from bytes: `__setstate__` follows. Done here, as subclasses need not call our `__init__`.
            if name is not None:
                own = namespace if namespace is not None else compute_namespace(cls) or ""
                handle.__handle__ = cls.HandleInfo(name=name, args=args, kwargs=kwargs, class_name=cls.type_name, namespace=own)
            return handle

    def __repr__(self) -> str:
        info = self.__handle__
        return f"{info.class_name}(fullname={info.fullname}, hash={info.hash[:8]})"

    def __getattr__(self, name: str) -> Any:
        if "instance" in self.__dict__:
            return getattr(self.__dict__["instance"], name)
        hint = ": a handle needs a name as its first argument" if name == "__handle__" else ""
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")

    def __getstate__(self) -> dict[str, Any]:
        return self.__handle__.get_state()

    def __setstate__(self, state: dict[str, Any]) -> None:
        info = self.__handle__ = self.HandleInfo(**state)
        info.is_recorded = True
        try:
            self.__init__(info.name, *info.args, **info.kwargs)  # type: ignore[misc]
        except Exception as error:
            # A cache miss, then: whoever makes the handle anew will hear the reason.
            raise InvalidValueError(
                f"handle {info.fullname!r} of {info.class_name!r} cannot be opened again: {error}"
            ) from error

    def apply_call(self, call_hash: str) -> Handle:
        """Return the handle in the state that a call led to.

        Args:
            call_hash: names the call.
        """
        return self.__handle__.apply_call(self, call_hash)

    def fork(self, key: str) -> Handle:
        """Return the handle in a state of its own, for one of several calls that do not depend on one another.

        Calls on forks of different keys leave each other alone, whatever their order. Without `fork`, calls on one state are told
        apart by their order in the result that they stand in.

        Args:
            key: tells the forks of one state apart.
        """
        return self.__handle__.fork(self, key)

    def is_valid(self) -> bool:
        """Tell whether the state still holds: it was reached, and nothing else has been called on a state before it since.

        Raises:
            NoCurrentScheduler: no scheduler runs on this thread.
        """
        from redun.evaluation.current import get_current_scheduler

        if self.type_name != self.__handle__.class_name:
            return False
        return bool(get_current_scheduler().handle_states.is_valid(state_id(self)))

    def get_hash(self, data: bytes | None = None) -> str:
        """Return the hash that names the state, 40 hex digits."""
        return self.__handle__.hash

    def preprocess(self, preprocess_args: dict[str, Any]) -> Any:
        """Return the fork that a call takes as its argument.

        Args:
            preprocess_args: `call_order`: number of the call among those on this state in one result, from 1; 0 at the root.
        """
        order = int(preprocess_args["call_order"])
        key = self.__handle__.key
        if not key:
            return self.fork(str(order))
        # A fork that is an argument twice is two forks, else the two calls would abandon one another for ever.
        return self.fork(key if order <= 1 else f"{key}.{order}")

    def postprocess(self, postprocess_args: dict[str, Any]) -> Any:
        """Return the state that a call leads to.

        Args:
            postprocess_args: `pre_call_hash`: the eval hash of the call.
        """
        return self.apply_call(postprocess_args["pre_call_hash"])


def state_id(handle: Handle) -> bytes:
    """Return the 20 bytes that name a handle's state in the store."""
    return _id(handle.__handle__.hash)


def origin_id(handle: Handle) -> bytes | None:
    """Return the name of the state that a handle was forked from, None if it is no fork."""
    info = handle.__handle__
    return _id(info.call_hash) if info.key and info.call_hash else None


def _id(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    # A subclass may name its states as it likes.
    return found if len(found) == ID_BYTES else bytes.fromhex(hash_text(text))


def merged(handles: Iterable[Handle]) -> Handle:
    """Return the one handle that several have become: the first one, in a state named by all of theirs, in any order.

    Raises:
        HandleError: there is none, something else is among them, or they lead to different things.
    """
    given = list(handles)
    if not given:
        raise HandleError("merge_handles() needs at least one handle, found none")
    for handle in given:
        if not isinstance(handle, Handle):
            raise HandleError(f"merge_handles() merges handles, found a {type(handle).__qualname__}: {str(handle)[:80]}")
    names = sorted({handle.__handle__.name for handle in given})
    if len(names) > 1:
        raise HandleError(f"merge_handles() merges handles of one name, found {', '.join(map(repr, names))}")
    hashes = sorted({handle.__handle__.hash for handle in given})
    first = given[0]
    return first if len(hashes) == 1 else first.__handle__.reached(first, hash_struct(["merge", hashes]), "")
