"""Shell scripts as tasks: files staged in and out, other interpreters, standard output as the result."""

from redun import File, script, task

redun_namespace = "redun.examples.scripts"


@task()
def write_names(path: str) -> File:
    file = File(path)
    file.write("pear\napple\nfig\napple\n")
    return file


@task()
def count_names(names: File) -> dict[str, File | bytes]:
    return script(
        """
        sort names.txt | uniq -c | sort -rn | awk '{ print $2 ": " $1 }' > counts.txt
        wc -l < counts.txt | tr -d ' '
        """,
        inputs=[names.stage("names.txt")],
        outputs={"counts": File("results/counts.txt").stage("counts.txt"), "kinds": File("-")},
        tempdir=True,
    )


@task(script=True)
def shout(text: str) -> str:
    return f"""
        #!/usr/bin/env python3
        print({text!r}.upper(), end="")
    """


@task()
def first_line(counts: dict[str, File | bytes]) -> str:
    return counts["counts"].readlines()[0].strip()


@task()
def main() -> bytes:
    counts = count_names(write_names("names.txt"))
    return shout(first_line(counts))


@task()
def capitals(names: File) -> File:
    return script("sort -u | tr a-z A-Z", inputs=names.stage("-"), outputs=File("results/capitals.txt").stage("-"))


@task()
def streams() -> File:
    return capitals(write_names("names.txt"))


@task(script=True)
def broken() -> str:
    return "grep banana no-such-file.txt | wc -l"
