"""Working on lists that are not there yet, with the tasks of `redun.functools`."""

from redun import task
from redun.functools import as_task, compose, const, delay, eval_, flat_map, flatten, force, map_, starmap, zip_

redun_namespace = "redun.examples.functools"


@task()
def split(text: str) -> list[str]:
    return text.split()


@task()
def length(word: str) -> int:
    return len(word)


@task()
def label(word: str, number: int) -> str:
    return f"{number}. {word}"


@task()
def make_labels(words: list[str]) -> list[dict]:
    return [{"word": word, "number": number} for number, word in enumerate(words, 1)]


@task()
def expensive(x: int) -> int:
    return x**2


@task()
def announce(text: str) -> str:
    return text


@task()
def main(lines: list[str] = ["the quick brown fox", "jumps"]) -> dict:
    """Show each of them once."""
    words = flat_map(split, lines)  # an expression: neither its length nor its items are known here
    return {
        "lengths": map_(length, words),
        "labels": starmap(label, make_labels(words)),
        "pairs": zip_(words, map_(length, words)),
        "flat": flatten([[1], [2, 3], []]),
        "total": as_task(sum)(map_(length, words)),
        "longest": as_task(max)(words, key=len),
        "composed": compose(length, announce)("four"),
        "computed": eval_("sum(n for n in lengths if n > limit)", lengths=map_(length, words), limit=3),
        "delayed": force(delay(expensive(12))),
        "const": const("after both", [announce("one"), announce("two")]),
    }
