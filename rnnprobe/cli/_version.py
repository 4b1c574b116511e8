"""`rnnprobe --version`, and with -v the versions of what it runs on."""

from __future__ import annotations

import click

_VERBOSE = "rnnprobe.verbose"


def remember_verbose(ctx: click.Context, parameter: click.Parameter, count: int) -> None:
    """Keep in mind that -v was given; it comes before --version, wherever it stands."""
    del parameter
    ctx.meta[_VERBOSE] = count > 0


def print_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Print the version, and end."""
    del parameter
    if not value or ctx.resilient_parsing:
        return
    from rnnprobe import __version__

    lines = version_lines() if ctx.meta[_VERBOSE] else [f"rnnprobe {__version__}"]
    click.echo("\n".join(lines))
    ctx.exit()


def refuse_verbose(ctx: click.Context) -> None:
    """Refuse -v before a command, where it would do nothing."""
    if ctx.meta.get(_VERBOSE):
        raise click.UsageError("-v before a command goes with --version alone; give it after.", ctx)


def version_lines() -> list[str]:
    """Return the versions of rnnprobe and of what it runs on, a line each; Keras stays away."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from rnnprobe import __version__
    from rnnprobe._versions import chosen_backend

    backend = chosen_backend()
    lines = [f"rnnprobe {__version__}"]
    for title, package in (
        ("Keras", "keras"),
        (f"backend {backend}", backend),
        ("KerasTuner", "keras-tuner"),
        ("NumPy", "numpy"),
    ):
        try:
            lines.append(f"{title} {version(package)}")
        except PackageNotFoundError:
            lines.append(f"{title} is not installed")
    python = f"Python {platform.python_version()} ({platform.python_implementation()})"
    return [*lines, python, f"platform {platform.platform()}"]
