"""Text from records does not command the terminal."""

from __future__ import annotations

import pytest

from redun.cli.render.output import harmless


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünïcode\ttab", "plain ünïcode\ttab"),
        ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\rb", "a\\rb"),
        ("\x9b31m", "\\x9b31m"),
        ("\x7f\x00", "\\x7f\\x00"),
    ],
)
def test_control_characters_are_shown(text: str, shown: str) -> None:
    assert harmless(text) == shown
