"""`--config`: a TOML file whose tables are the commands' defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


def read_config(ctx: click.Context, parameter: click.Parameter, path: Path | None) -> None:
    """Make the command's table in a TOML file its defaults."""
    del parameter
    if path is None:
        return
    import tomllib

    from rnnprobe.cli import COMMANDS

    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise click.BadParameter(f"cannot read '{path}' as TOML: {exc}", ctx) from exc
    _, *command_path = ctx.command_path.split()
    section: Any = document
    for name in command_path:
        section = section.get(name, {}) if isinstance(section, dict) else section
    strangers = [key for key in document if key not in COMMANDS]
    if strangers or not isinstance(section, dict):
        raise click.BadParameter(
            f"'{path}' sets '{strangers[0] if strangers else name}'; expected tables called like "
            f"the commands ({', '.join(COMMANDS)}).",
            ctx,
        )
    options = {_option_key(option): option for option in ctx.command.params}
    defaults = {}
    for key, value in section.items():
        option = options.get(key.replace("_", "-"))
        if option is None:
            raise click.BadParameter(
                f"'{path}' sets '{key}', which '{' '.join(command_path)}' has not.", ctx
            )
        defaults[str(option.name)] = _as_typed(value, option)
    ctx.default_map = defaults


def _option_key(parameter: click.Parameter) -> str:
    longest = max(parameter.opts, key=len)
    return longest.removeprefix("--").lower()


def _as_typed(value: Any, option: click.Parameter) -> Any:
    """Return a TOML value as it would be typed."""
    if isinstance(value, bool) and getattr(option, "is_flag", False):
        return value
    texts = [_text(item) for item in (value if isinstance(value, list) else [value])]
    return texts if option.multiple else ",".join(texts)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
