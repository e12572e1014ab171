"""Read the pages of a web site and write a report with a plot."""

from html import escape
from html.parser import HTMLParser
from urllib.parse import urljoin

from redun import File, task

redun_namespace = "redun.examples.web_scraping"


class Page(HTMLParser):
    """What a page says: title, words and links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.title = ""
        self.words: list[str] = []
        self.links: list[str] = []
        self._in_title = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_title = tag == "title"
        if tag == "a":
            self.links.extend(value for name, value in attrs if name == "href" and value)

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
        else:
            self.words.extend(data.split())


@task()
def find_pages(index: File) -> list[str]:
    return [urljoin(index.path, link) for link in Page(index.read()).links]


@task()
def measure(page: File) -> tuple[str, int]:
    content = Page(page.read())
    return content.title, len(content.words)


@task()
def measure_all(urls: list[str]) -> list[tuple[str, int]]:
    return [measure(File(url)) for url in urls]


@task()
def draw(rows: list[tuple[str, int]]) -> str:
    """Return a bar chart as SVG, which any browser shows inside a page."""
    most = max(count for _, count in rows)
    bars = "".join(
        f'<text x="0" y="{24 * at + 16}">{escape(title)}</text>'
        f'<rect x="140" y="{24 * at + 2}" width="{240 * count / most:.0f}" height="18" fill="steelblue"/>'
        f'<text x="{146 + 240 * count / most:.0f}" y="{24 * at + 16}">{count}</text>'
        for at, (title, count) in enumerate(rows)
    )
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="430" height="{24 * len(rows)}" font-size="14">{bars}</svg>'


@task()
def write_report(rows: list[tuple[str, int]], plot: str, path: str) -> File:
    lines = "".join(f"<li>{escape(title)}: {count} words</li>\n" for title, count in rows)
    report = File(path)
    report.write(f"<html><body><h1>Words of each page</h1>\n{plot}\n<ul>\n{lines}</ul></body></html>\n")
    return report


@task()
def main(site: str, out: str = "report.html") -> File:
    rows = measure_all(find_pages(File(f"{site}/index.html")))
    return write_report(rows, draw(rows), out)
