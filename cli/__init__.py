"""The command line of redun (click): what a user types and sees.

Installed as `redun.cli` only. A user's own `cli.py` beside a workflow must stay theirs, so this package refuses to be
imported under any other name.

Scripts and tests may import `RedunClient`, `setup_scheduler`, `import_script` and the other names of `redun.cli.client` from here.
"""

if __name__ != "redun.cli":
    raise ImportError(
        f"this package is redun.cli, it cannot be imported as {__name__!r}: install redun, do not put its folder on sys.path"
    )

__all__ = [
    "REDUN_CONFIG_DIR",
    "REDUN_CONFIG_ENV",
    "REDUN_INI_FILE",
    "RedunClient",
    "RedunClientError",
    "arg_name2cli_name",
    "check_version",
    "find_config_dir",
    "format_id",
    "get_abs_path",
    "get_anno_origin",
    "get_config_dir",
    "get_config_path",
    "get_default_execution_tags",
    "get_user_setup_func",
    "get_username",
    "import_script",
    "infer_project_name",
    "is_port_in_use",
    "is_python_filename",
    "make_parse_arg_func",
    "parse_func_path",
    "parse_setup_args",
    "parse_version",
    "setup_config",
    "setup_scheduler",
]


def __getattr__(name: str) -> object:
    # Loaded when asked for: the commands themselves do not need it.
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("redun.cli.client"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
