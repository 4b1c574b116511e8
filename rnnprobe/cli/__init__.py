"""The command line. Nothing imports it; its modules import only click and the standard library."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from rnnprobe.cli._interrupt import interruptible
from rnnprobe.cli._version import print_version, refuse_verbose, remember_verbose

COMMANDS = (
    "tune",
    "sweep",
    "reproduce",
    "worker",
    "train",
    "confusions",
    "compare",
    "attack",
    "synthesize",
    "harden",
    "inspect",
    "report",
    "predict",
    "data",
)

_EPILOG = """Options may stand in a TOML file (COMMAND --config FILE, or RNNPROBE_CONFIG) and in the
environment (RNNPROBE_TUNE_TRIALS=20).

\b
Completion by Tab, once and for all:
  bash  echo 'eval "$(_RNNPROBE_COMPLETE=bash_source rnnprobe)"' >> ~/.bashrc
  zsh   echo 'eval "$(_RNNPROBE_COMPLETE=zsh_source rnnprobe)"' >> ~/.zshrc
  fish  _RNNPROBE_COMPLETE=fish_source rnnprobe > ~/.config/fish/completions/rnnprobe.fish
"""


class _Group(click.Group):
    """Loads a command's module when it is named, or when all are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"rnnprobe.cli.{cmd_name}").command
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from rnnprobe._registry import unknown_name

            raise click.UsageError(str(unknown_name("command", args[0], list(COMMANDS))))
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Group,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "RNNPROBE",
        "max_content_width": 100,
    },
    epilog=_EPILOG,
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    callback=print_version,
    allow_from_autoenv=False,
    help="Show the version and exit.",
)
@click.option(
    "-v",
    "--verbose",
    count=True,
    is_eager=True,
    expose_value=False,
    callback=remember_verbose,
    allow_from_autoenv=False,
    help="With --version: also those of Keras, its backend and what else it runs on.",
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Tune, probe and explain recurrent Keras classifiers.

    Results go to standard output as Markdown, CSV or JSON; everything else to standard error.
    """
    refuse_verbose(ctx)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its status: 0, 1, 2, 3, or 130 when interrupted."""
    if "_RNNPROBE_COMPLETE" in os.environ:
        from rnnprobe.cli._complete import install

        install()
    try:
        with interruptible():
            status = cli.main(
                args=None if arguments is None else list(arguments),
                prog_name="rnnprobe",
                standalone_mode=False,
            )
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except click.exceptions.NoArgsIsHelpError as exc:
        click.echo(exc.format_message(), err=True)
        return 2
    except click.ClickException as exc:
        click.echo(f"Error: {_one_line(exc)}", err=True)
        return exc.exit_code
    except BrokenPipeError:
        # The reader of --help went away; what is left in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (click.Abort, KeyboardInterrupt) as exc:
        # Click raises an Abort from what interrupted.
        click.echo(str(exc.__cause__ or "") or "Interrupted.", err=True)
        return 130
    except Exception as exc:
        from rnnprobe.cli._options import failure

        click.echo(f"Error: {_one_line(failure(exc))}", err=True)
        return 1


def _one_line(exc: click.ClickException) -> str:
    message = " ".join(exc.format_message().split())
    context = getattr(exc, "ctx", None)
    if isinstance(exc, click.UsageError) and context is not None:
        return f"{message} See '{context.command_path} --help'."
    return message
