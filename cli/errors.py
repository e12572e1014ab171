"""What goes wrong on the command line, and how it is told: one message on standard error and an exit status.

0 fine   1 we refuse, or the workflow failed   2 the command line itself cannot be read   130 interrupted
"""

from __future__ import annotations

import os
import sys

from redun.errors import RedunError

FAILED = 1
USAGE = 2
INTERRUPTED = 130


class CommandError(RedunError):
    """A command cannot do what was asked.

    Args:
        message: one sentence, lower case.
        details: text to show below it, such as the traceback of a script.
    """

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


def report(error: BaseException, debug: bool = False, colour: bool | None = None) -> int:
    """Tell of an error on standard error.

    Args:
        debug: show where in redun an unexpected error came up.
        colour: what the user says of colours, None for nothing.

    Returns:
        The exit status.
    """
    import click

    def say(text: str) -> None:
        _say(text, colour)

    if isinstance(error, KeyboardInterrupt | click.Abort):
        # The terminal has written ^C where the cursor was.
        say("\nredun: interrupted" if _on_terminal() else "redun: interrupted")
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # Nobody reads any more; what is still buffered must not raise again when the interpreter flushes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    if isinstance(error, click.UsageError):
        say(f"redun: error: {_usage_message(error)}")
        return USAGE
    if isinstance(error, click.ClickException):
        say(f"redun: error: {_lower(error.format_message())}")
        return error.exit_code
    if isinstance(error, RedunError):
        say(f"redun: error: {error}")
        details = getattr(error, "details", "")
        if details:
            say(details)
    elif isinstance(error, OSError) and error.strerror:
        # Errors of opening files keep the path as the user wrote it.
        place = getattr(error, "path", error.filename)
        say(f"redun: error: {error.strerror}" + (f": {place!r}" if place is not None else ""))
    else:
        say(f"redun: internal error: {_internal(error)}")
    if debug:
        import traceback

        say("".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip("\n"))
    return FAILED


def tell_failure(error: BaseException, colour: bool | None = None) -> None:
    """Tell on standard error that a workflow has failed, with the user's own frames."""
    summary = f"{type(error).__name__}: {error}".rstrip(": ")
    lines = user_traceback(error) if error.__traceback__ is not None and not isinstance(error, RedunError) else ""
    _say(f"redun: error: the workflow has failed: {summary}" + (f"\n{lines}" if lines else ""), colour)


def warn(message: str) -> None:
    """Tell of something that the user should know but that stops nothing."""
    from redun.cli.session import current_session

    _say(f"redun: warning: {message}", current_session().colour)


def _say(text: str, colour: bool | None) -> None:
    try:
        if text.startswith("redun: ") and (colour or _on_terminal()):
            text = _in_colours(text, colour)
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        # Standard error is closed: there is nobody to tell.
        pass


def _on_terminal() -> bool:
    from redun.cli.terminal import is_terminal

    return is_terminal(sys.stderr)


def _in_colours(text: str, colour: bool | None) -> str:
    from redun.cli.render.colour import BOLD, RED, YELLOW, paint
    from redun.cli.terminal import wants_colour

    lead, _, rest = text.removeprefix("redun: ").partition(": ")
    if not rest or not wants_colour(sys.stderr, colour):
        return text
    return f"redun: {paint(lead, YELLOW if lead == 'warning' else RED, BOLD)}: {rest}"


def _lower(message: str) -> str:
    message = message.removesuffix(".")
    return message[:1].lower() + message[1:] if message[1:2].islower() else message


def _usage_message(error: object) -> str:
    import click

    assert isinstance(error, click.UsageError)
    context = error.ctx
    # Since click 8.2 a group without a command is an error whose message is the whole help.
    if context is not None and isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
        assert isinstance(context.command, click.Group)
        commands = ", ".join(context.command.list_commands(context))
        return f"missing command: expected one of {commands}: see '{context.command_path} --help'"
    # Of a choice that is missing, click lists the possibilities on lines of their own.
    message = " ".join(_lower(error.format_message()).split())
    return message if context is None else f"{message}: see '{context.command_path} --help'"


def _internal(error: BaseException) -> str:
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}{place}; this is a bug, 'redun --log-level DEBUG ...' shows more of it"


def user_traceback(error: BaseException) -> str:
    """Return a traceback as Python shows it, without redun's own frames; just the error if no others are left."""
    from redun.traceback_lines import HEADING, traceback_lines

    lines = traceback_lines(error)
    return "\n".join([HEADING, *lines] if lines and lines[0].startswith("  File ") else lines)


def is_users(filename: str) -> bool:
    """Tell whether code of a file is the user's: not redun's own and not the machinery of imports."""
    from redun.traceback_lines import is_ours

    return not filename.startswith("<frozen ") and not is_ours(filename)
