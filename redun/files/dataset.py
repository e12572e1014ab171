"""A table in many files below one folder, as Spark and data lakes keep it: `ShardedS3Dataset`.

What counts of it is path, format and the files of that format with their stamps. With pandas it is read and written file by
file; Spark needs an executor that brings a Spark session along, which redun does not have yet.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from xxhash import xxh3_128_hexdigest

from redun.files.file import File
from redun.files.filesystem import FileSystemError, get_filesystem, get_proto
from redun.value import MEMBERS, Value

if TYPE_CHECKING:
    import pandas

FORMATS = ("avro", "csv", "grokLog", "ion", "json", "orc", "parquet", "xml")
"""What a dataset may be; pandas knows csv, json, orc and parquet."""

_NO_SPARK = (
    "needs a Spark session, which only an executor with Spark provides and this release of redun does not have yet: "
    "use {instead} with pandas"
)


class ShardedS3Dataset(Value):
    """A dataset of many files (shards) of one format below a folder, mostly on S3.

    Args:
        path: of the folder.
        format: one of `FORMATS`; its files are those whose names end with it.
        recurse: take files of folders below as well.

    Raises:
        ValueError: there is no such format.
    """

    type_name = "redun.ShardedS3Dataset"
    type_basename = "ShardedS3Dataset"

    def __init__(self, path: str, format: str = "parquet", recurse: bool = True) -> None:
        _check_format(format)
        self._path = path.rstrip("/")
        self._format = format
        self._recurse = recurse
        self._filenames: list[str] = []
        self._listing = ""
        self._id: str | None = None
        self.update_hash()

    @property
    def path(self) -> str:
        """The folder; setting it looks for the files anew."""
        return self._path

    @path.setter
    def path(self, path: str) -> None:
        self._path = path.rstrip("/")
        self.update_hash()

    @property
    def format(self) -> str:
        """The format of the files; setting it looks for the files anew."""
        return self._format

    @format.setter
    def format(self, format: str) -> None:
        _check_format(format)
        self._format = format
        self.update_hash()

    @property
    def recurse(self) -> bool:
        """Whether files of folders below count; setting it looks for the files anew."""
        return self._recurse

    @recurse.setter
    def recurse(self, recurse: bool) -> None:
        self._recurse = recurse
        self.update_hash()

    @property
    def filenames(self) -> list[str]:
        """Paths of the files, sorted, as they were when last looked for."""
        return list(self._filenames)

    def _scan(self) -> list[tuple[str, str]]:
        pattern = f"{self._path}/{'**/' if self._recurse else ''}*.{self._format}"
        return get_filesystem(url=self._path).scan_matches(pattern)

    def update_hash(self) -> None:
        """Look for the files and take a new hash."""
        rows = self._scan()
        self._filenames = [path for path, _ in rows]
        self._listing = _joined(rows)
        self._id = None

    @property
    def hash(self) -> str:
        """The value's hash, 40 hex digits."""
        if self._id is None:
            self._id = self.get_hash()
        return self._id

    def is_valid(self) -> bool:
        """Tell whether the files are those that were recorded."""
        try:
            return _joined(self._scan()) == self._listing
        except (OSError, FileSystemError):
            return False

    def postprocess(self, postprocess_args: dict[str, Any]) -> ShardedS3Dataset:
        """Look for the files once more: a task may have written them since the dataset was made."""
        self.update_hash()
        return self

    def iter_subvalues(self) -> Iterator[Value]:
        """Yield the files."""
        return map(File, self._filenames)

    def _members(self) -> Any:
        # They stand in the state.
        return None

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = {"path": self._path, "format": self._format, "recurse": self._recurse}
        state["stamp"] = xxh3_128_hexdigest(self._listing.encode("utf-8", "surrogateescape"))
        if self._listing:
            state[MEMBERS] = [File.type_name, "", self._listing]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._path, self._format, self._recurse = state["path"], state["format"], state["recurse"]
        members = state.get(MEMBERS)
        self._listing = members[2] if members else ""
        self._filenames = self._listing.split("\0")[::2] if members else []
        self._id = None

    def __repr__(self) -> str:
        return f"ShardedS3Dataset(path={self._path}, format={self._format}, recurse={self._recurse}, hash={self.hash[:8]})"

    # pandas.

    def load_pandas_shards(self, max_shards: int = -1) -> list[pandas.DataFrame]:
        """Return a table for each file, in order of their paths.

        Args:
            max_shards: at most so many; -1 for all.

        Raises:
            ValueError: pandas cannot read the format.
            ImportError: pandas, or a package that it needs for the format, is not installed.
        """
        names = self._filenames if max_shards < 0 else self._filenames[:max_shards]
        return [self._load_shard(name) for name in names]

    def load_pandas(self, max_shards: int = -1) -> pandas.DataFrame:
        """Return all files as one table; columns that only the names of folders hold (`year=2026/`) are added.

        Args:
            max_shards: at most so many files; -1 for all.

        Raises:
            ValueError: there are no files, or pandas cannot read the format.
        """
        library = _pandas("load_pandas")
        shards = self.load_pandas_shards(max_shards)
        if not shards:
            raise ValueError(f"dataset {self._path!r} has no {self._format} files: check path and format")
        return library.concat(shards, ignore_index=True)

    def _load_shard(self, name: str) -> pandas.DataFrame:
        library = _pandas("load_pandas")
        readers: dict[str, Callable[[Any], Any]] = {
            "csv": library.read_csv,
            "json": _read_json,
            "orc": library.read_orc,
            "parquet": library.read_parquet,
        }
        if self._format not in readers:
            raise ValueError(f"pandas cannot read {self._format!r}: expected one of {', '.join(readers)}")
        with File(name).open("rb") as stream:
            table: pandas.DataFrame = readers[self._format](stream)
        for part in name[len(self._path) :].split("/")[:-1]:
            column, equals, text = part.partition("=")
            if equals and column not in table.columns:
                table[column] = _number(_unquoted(text))
        return table

    def save_pandas(self, dataset: pandas.DataFrame, partition_keys: list[str] = []) -> None:  # noqa: B006
        """Write a table as the dataset's files, in place of those of its format that are there.

        Args:
            partition_keys: columns by whose values the rows go to folders of their own, such as `year=2026/`.

        Raises:
            ValueError: pandas cannot write the format, or there is no such column.
        """
        writers: dict[str, Callable[[Any, Any], Any]] = {
            "csv": lambda table, stream: table.to_csv(stream, index=False),
            "json": lambda table, stream: table.to_json(stream, orient="records", lines=True),
            "orc": lambda table, stream: table.to_orc(stream, index=False),
            "parquet": lambda table, stream: table.to_parquet(stream, index=False),
        }
        if self._format not in writers:
            raise ValueError(f"pandas cannot write {self._format!r}: expected one of {', '.join(writers)}")
        unknown = [key for key in partition_keys if key not in dataset.columns]
        if unknown:
            raise ValueError(f"no such columns to partition by: {', '.join(map(repr, unknown))}")
        old = set(self._filenames)
        for folder, part in _partitions(dataset, partition_keys):
            file = File("/".join([self._path, *folder, f"part-00000.{self._format}"]))
            with file.open("wb") as stream:
                writers[self._format](part, stream)
            old.discard(file.path)
        for name in sorted(old):
            File(name).remove()
        self.update_hash()

    # Spark.

    def load_spark(self, validate: bool = False, format_options: dict[str, Any] = {}) -> Any:  # noqa: B006
        """Raise: there is no Spark session.

        Raises:
            ValueError: always, in this release.
        """
        if get_proto(self._path) != "s3":
            raise ValueError(f"load_spark needs a path on S3, found {self._path!r}")
        raise ValueError(f"load_spark {_NO_SPARK.format(instead='load_pandas')}")

    def save_spark(
        self,
        dataset: Any,
        partition_keys: list[str] = [],  # noqa: B006
        catalog_database: str = "default",
        catalog_table: str | None = None,
        format_options: dict[str, Any] = {},  # noqa: B006
    ) -> None:
        """Raise: there is no Spark session.

        Raises:
            ValueError: always, in this release.
        """
        if get_proto(self._path) != "s3":
            raise ValueError(f"save_spark needs a path on S3, found {self._path!r}")
        raise ValueError(f"save_spark {_NO_SPARK.format(instead='save_pandas or from_data')}")

    def purge_spark(self, remove_older_than: int = 1, manifest_file_path: str | None = None) -> None:
        """Raise: there is no Spark session.

        Raises:
            ValueError: always, in this release.
        """
        raise ValueError(f"purge_spark {_NO_SPARK.format(instead='Dir(path).rmdir(recursive=True)')}")

    # Other ways to make one.

    @classmethod
    def from_files(cls, files: list[File], format: str | None = None, allow_additional_files: bool = False) -> ShardedS3Dataset:
        """Return the dataset of the smallest folder that holds all of the files.

        Args:
            format: of the files; by default what their names end with.
            allow_additional_files: the folder may hold others of the format, which then belong to the dataset.

        Raises:
            ValueError: there are no files, or some not on S3, of different formats, or with others beside them.
            FileNotFoundError: one of them is not there.
        """
        if not files:
            raise ValueError("a dataset cannot be made of an empty list of files")
        for file in files:
            if get_proto(file.path) != "s3":
                raise ValueError(f"a ShardedS3Dataset is made of files on S3, found {file.path!r}")
        for file in files:
            if not file.exists():
                raise FileNotFoundError(2, "No such file", file.path)
        if format is None:
            ends = sorted({os.path.splitext(file.path)[1].removeprefix(".") for file in files})
            if len(ends) != 1 or not ends[0]:
                raise ValueError(f"the files of a dataset must end with the same format, found {', '.join(map(repr, ends))}")
            format = ends[0]
        folder = os.path.commonpath([os.path.dirname(file.path.partition("://")[2]) for file in files])
        dataset = cls(f"s3://{folder}", format=format)
        others = sorted(set(dataset.filenames) - {file.path for file in files})
        if others and not allow_additional_files:
            raise ValueError(
                f"folder {dataset.path!r} holds {len(others)} more {format} files, such as {others[0]!r}: "
                "give allow_additional_files=True to take them in"
            )
        return dataset

    @classmethod
    def from_data(
        cls,
        dataset: Any,
        output_path: str,
        format: str = "parquet",
        partition_keys: list[str] = [],  # noqa: B006
        catalog_database: str = "default",
        catalog_table: str | None = None,
        format_options: dict[str, Any] = {},  # noqa: B006
    ) -> ShardedS3Dataset:
        """Write a table of pandas and return the dataset.

        Args:
            dataset: the table.
            output_path: the folder; files of the format in it are replaced.
            partition_keys: see `save_pandas`.
            catalog_database, catalog_table, format_options: of a Spark session.

        Raises:
            ValueError: the table is none of pandas, or the format cannot be written.
        """
        made = cls(output_path, format=format)
        if not _is_pandas(dataset):
            if type(dataset).__module__.startswith("pyspark."):
                made.save_spark(dataset, partition_keys, catalog_database, catalog_table, format_options)
            raise ValueError(f"a dataset is made of a DataFrame of pandas or Spark, found {type(dataset).__name__}")
        made.save_pandas(dataset, partition_keys)
        return made


def _check_format(format: str) -> None:
    if format not in FORMATS:
        raise ValueError(f"invalid format {format!r}: expected one of {', '.join(FORMATS)}")


def _joined(rows: list[tuple[str, str]]) -> str:
    return "\0".join([text for row in rows for text in row])


def _pandas(user: str) -> Any:
    try:
        import pandas
    except ImportError:
        raise ImportError(f"{user} needs the package 'pandas', which is not installed") from None
    return pandas


def _is_pandas(table: Any) -> bool:
    return type(table).__module__.partition(".")[0] == "pandas" and type(table).__name__ == "DataFrame"


def _read_json(stream: Any) -> Any:
    """Read one document, or one for each line, as Spark writes it."""
    import io

    pandas = _pandas("load_pandas")
    data = stream.read()
    try:
        return pandas.read_json(io.BytesIO(data))
    except ValueError:
        return pandas.read_json(io.BytesIO(data), lines=True)


def _partitions(table: Any, keys: list[str]) -> Iterator[tuple[list[str], Any]]:
    from urllib.parse import quote

    if not keys:
        yield [], table
        return
    for values, part in table.groupby(keys, sort=True, dropna=False):
        folder = [f"{key}={quote(str(value), safe=' ')}" for key, value in zip(keys, values, strict=True)]
        yield folder, part.drop(columns=keys)


def _unquoted(text: str) -> str:
    from urllib.parse import unquote

    return unquote(text)


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
