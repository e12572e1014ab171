"""Extract, transform, load: two CSV files into an SQLite database, then a summary of them in it."""

import csv
import sqlite3

from redun import File, Handle, merge_handles, task

redun_namespace = "redun.examples.etl_sqlite"


class Database(Handle):
    """An SQLite database. Only name and path are ever stored; the connection is made anew wherever the handle is read."""

    def __init__(self, name: str, path: str) -> None:
        # Jobs run on threads.
        self.instance = sqlite3.connect(path, check_same_thread=False)


@task()
def create(db: Database) -> Database:
    """Make the tables, new and empty."""
    db.executescript(
        """
        DROP TABLE IF EXISTS people;
        DROP TABLE IF EXISTS orders;
        CREATE TABLE people (id INTEGER, name TEXT, city TEXT);
        CREATE TABLE orders (person INTEGER, item TEXT, price INTEGER);
        """
    )
    return db


@task()
def load(db: Database, table: str, rows: File) -> Database:
    """Fill a table from a CSV file."""
    with rows.open() as stream:
        _, *records = csv.reader(stream)
    # Whatever was there goes: the task may run again on a table that is full already.
    db.execute(f"DELETE FROM {table}")
    db.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", records)
    db.commit()
    return db


@task()
def summarize(db: Database) -> Database:
    """Add up what was spent in each city."""
    db.executescript(
        """
        DROP TABLE IF EXISTS spent;
        CREATE TABLE spent AS
            SELECT city, sum(price) AS total FROM orders JOIN people ON person = id GROUP BY city;
        """
    )
    return db


@task()
def report(db: Database) -> list[tuple[str, int]]:
    """Read the summary."""
    return db.execute("SELECT city, total FROM spent ORDER BY total DESC").fetchall()


@task()
def main(path: str = "shop.db", people: File = File("people.csv"), orders: File = File("orders.csv")) -> list[tuple[str, int]]:
    """Fill the database and report."""
    db = create(Database("shop", path))
    db = merge_handles(
        [
            load(db.fork("people"), "people", people),
            load(db.fork("orders"), "orders", orders),
        ]
    )
    return report(summarize(db))
