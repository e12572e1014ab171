"""Every step that a README shows is run and compared, in a copy of its folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from console import failures, steps

ROOT = Path(__file__).resolve().parents[2]
READMES = [ROOT / "README.md", *sorted((ROOT / "examples").glob("*/README.md"))]


def test_every_example_has_a_readme() -> None:
    scripts = {path.parent for path in (ROOT / "examples").glob("*/*") if path.suffix in (".py", ".ipynb")}
    assert scripts == {path.parent for path in READMES[1:]}


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_readme(readme: Path, tmp_path: Path, redun_environ: dict[str, str]) -> None:
    assert steps(readme.read_text()), f"{readme} shows nothing"
    for failure in failures(readme, redun_environ, tmp_path):
        pytest.fail(failure, pytrace=False)
