"""The most frequent words of all texts in a folder."""

import re

from redun import Dir, File, task

redun_namespace = "redun.examples.word_count"


@task()
def count_words(text: File) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in re.findall(r"[a-z]+", text.read().lower()):
        counts[word] = counts.get(word, 0) + 1
    return counts


@task()
def add_up(counts: list[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in counts:
        for word, count in part.items():
            total[word] = total.get(word, 0) + count
    return total


@task()
def write_table(counts: dict[str, int], top: int, path: str) -> File:
    ranked = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    table = File(path)
    with table.open("w") as out:
        for word, count in ranked[:top]:
            out.write(f"{count:4} {word}\n")
    return table


@task()
def main(texts: Dir = Dir("texts"), top: int = 5, out: str = "words.txt") -> File:
    counts = [count_words(text) for text in texts]
    return write_table(add_up(counts), top, out)
