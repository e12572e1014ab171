from redun import Handle, task

redun_namespace = "golden"


class Conn(Handle):
    def __init__(self, name):
        self.instance = name


@task()
def row(i: int) -> dict:
    return {"i": i, "text": f"row {i} " * i}


@task()
def column(rows: list) -> str:
    return "".join(row["text"] for row in rows) * 300


@task()
def insert(conn: Conn, size: int) -> Conn:
    return conn


@task()
def main(n: int = 12):
    rows = [row(i) for i in range(n)]
    text = column(rows)
    return [text[:10], insert(Conn("db"), 3)]
