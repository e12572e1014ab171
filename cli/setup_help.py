"""`redun --setup-help`: what the configuration's setup function takes."""

from __future__ import annotations

import inspect

import click

from redun.cli.session import Session


def show_setup_help(session: Session) -> None:
    """Write the function's docstring and its parameters.

    Raises:
        ConfigError: the function cannot be found.
    """
    from redun.scheduler_setup import setup_function, setup_parameters

    config = session.load_config(session.find_folder())
    function = setup_function(config)
    if function is None:
        click.echo(f"No setup function: section [scheduler] of {config.source} has no setup_scheduler = script.py::function.")
        return
    click.echo("redun --setup <option>=<value> ...")
    doc = inspect.getdoc(function)
    if doc:
        click.echo(f"\n{doc}")
    click.echo()
    for parameter in setup_parameters(function):
        default = "required" if parameter.default is parameter.empty else f"default: {parameter.default!r}"
        click.echo(f"  --setup {parameter.name}={parameter.name.upper()} ({default})")
