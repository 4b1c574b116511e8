"""`--config`: a TOML file whose tables are the commands' defaults."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

_FILE = "rnnprobe.config"


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
        raise click.BadParameter(f"cannot read '{path}' as TOML: {exc}.", ctx) from exc
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
    options = {
        _option_key(option): option
        for option in ctx.command.params
        if isinstance(option, click.Option) and option.expose_value
    }
    defaults = {}
    for key, value in section.items():
        option = options.get(key.replace("_", "-"))
        if option is None:
            raise click.BadParameter(
                f"'{path}' sets '{key}', which '{' '.join(command_path)}' has not.", ctx
            )
        defaults[str(option.name)] = _as_typed(value, option)
    ctx.default_map = defaults
    ctx.meta[_FILE] = path


def refuse_unknown_variables(ctx: click.Context) -> None:
    """Refuse an environment variable that begins like the command's own and is none of them."""
    if ctx.resilient_parsing:
        return
    known = [
        _own_variable(option, ctx)
        for option in ctx.command.params
        if isinstance(option, click.Option) and option.allow_from_autoenv
    ]
    for name in sorted(os.environ):
        if name.startswith(f"{ctx.auto_envvar_prefix}_") and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            did_you_mean = f" Did you mean {near[0]}?" if near else ""
            raise click.UsageError(
                f"The environment variable {name} names no option of '{ctx.command_path}'; unset "
                f"it.{did_you_mean}",
                ctx,
            )


def with_origin(exc: click.UsageError, ctx: click.Context) -> click.UsageError:
    """Return an error about a value that was not typed with a sentence on where it comes from."""
    option = getattr(exc, "param", None) or _being_read(ctx)
    if not isinstance(option, click.Option):
        return exc
    source = ctx.get_parameter_source(str(option.name))
    if source == ParameterSource.ENVIRONMENT:
        origin = f"the environment variable {_variable(option, ctx)}"
    elif source == ParameterSource.DEFAULT_MAP:
        origin = f"'{ctx.meta[_FILE]}'"
    else:
        return exc
    told = exc.format_message().rstrip()
    stop = "" if told.endswith(".") else "."
    return click.UsageError(f"{told}{stop} {option.opts[-1]} comes from {origin}.", ctx)


def _being_read(ctx: click.Context) -> click.Parameter | None:
    """Return the parameter that has a source and no value yet: the one that was refused."""
    for parameter in ctx.command.params:
        has_source = ctx.get_parameter_source(str(parameter.name)) is not None
        if has_source and parameter.expose_value and parameter.name not in ctx.params:
            return parameter
    return None


def _variable(option: click.Option, ctx: click.Context) -> str:
    if isinstance(option.envvar, str) and option.envvar in os.environ:
        return option.envvar
    return _own_variable(option, ctx)


def _own_variable(option: click.Option, ctx: click.Context) -> str:
    return f"{ctx.auto_envvar_prefix}_{str(option.name).upper()}"


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
