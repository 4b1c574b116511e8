"""Every option of every command by environment and by TOML: it arrives as if it were typed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from conftest import Cli

from rnnprobe.cli import COMMANDS
from rnnprobe.cli import cli as group
from rnnprobe.search.space import AXES

SAMPLES: dict[str, tuple[str, Any]] = {
    # as typed, and as TOML where that is not the text
    "attack": ("fgsm,pgd", ["fgsm", "pgd"]),
    "class_weights": ("1,2,0.5", [1, 2, 0.5]),
    "config": ("", None),
    "data": ("mnist-5k", None),
    "epsilon": ("0.01,0.03", [0.01, 0.03]),
    "export": ("out.npz", None),
    "id_column": ("my id", None),
    "import": ("my layers.py", None),
    "label_column": ("a label", None),
    "limit": ("units <= 128", None),
    "listen": ("127.0.0.1:8000", None),
    "max_memory": ("2GB", None),
    "norm": ("l2", None),
    "pair": ("3,5", [3, 5]),
    "placement": ("free,suffix", ["free", "suffix"]),
    "rows": ("units", None),
    "columns": ("learning-rate,cell", ["learning-rate", "cell"]),
    "target": ("3", 3),
    "text_column": ("text", None),
    "time_column": ("t", None),
    "timesteps": ("1,2", [1, 2]),
    "with": ("fgsm", None),
    "workers": ("2", 2),
    "chief": ("127.0.0.1:8000", None),
}
AXIS_SAMPLES = {"cell": "gru", "optimizer": "sgd", "loss": "mean-squared-error"}


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            for sub, subcommand in command.commands.items():
                yield (name, sub), subcommand
        else:
            yield (name,), command


def options() -> Iterator[tuple[tuple[str, ...], click.Command, click.Option]]:
    for path, command in commands():
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.name != "config":
                yield path, command, parameter


ROWS = list(options())
IDS = [f"{' '.join(path)} {option.opts[-1]}" for path, _, option in ROWS]


def sample(option: click.Option, what: str) -> tuple[str, Any]:
    """Return a value that is not the default: as it is typed, and as TOML."""
    name, kind = str(option.name), option.type
    if option.is_flag:
        return "true", True
    if option.count:
        return "2", 2
    if isinstance(kind, click.Choice):
        choice = next(str(c) for c in kind.choices if c != option.default)
        return choice, choice
    if isinstance(kind, (click.IntRange, click.FloatRange)):
        least = kind.min if kind.min is not None else 0
        value = least + (2 if isinstance(kind, click.IntRange) else 0.5)
        return str(value), value
    if name in AXES:
        text = {"flag": "yes", "integer": "3", "number": "0.25"}.get(AXES[name].kind, "")
        values = {"flag": True, "integer": [3], "number": 0.25}
        return text or AXIS_SAMPLES[name], values.get(AXES[name].kind, AXIS_SAMPLES.get(name))
    if name == "what":
        return what, what
    if name in SAMPLES and kind.name != "number":
        text, toml = SAMPLES[name]
        return text, text if toml is None else toml
    if isinstance(kind, click.Path):
        name = "some file.keras" if kind.file_okay else "some folder"
        return name, name
    return "0.5", 0.5


def needed(command: click.Command, but: click.Option) -> list[str]:
    """Return what has to be typed besides."""
    typed: list[str] = []
    for parameter in command.params:
        if not parameter.required or parameter is but:
            continue
        text = SAMPLES.get(str(parameter.name), ("m.keras", None))[0]
        if isinstance(parameter, click.Option):
            typed += [parameter.opts[-1], text]
        else:
            typed.append(text)
    return typed


def parsed(path: tuple[str, ...], command: click.Command, arguments: list[str]) -> dict[str, Any]:
    context = click.Context(group, info_name="rnnprobe", auto_envvar_prefix="RNNPROBE")
    for name in path[:-1]:
        parent = group.get_command(context, name)
        assert parent is not None
        context = click.Context(parent, parent=context, info_name=name)
    return command.make_context(path[-1], list(arguments), parent=context).params


def what_of(command: click.Command) -> str:
    """Return one of the names that --what takes, as its completion proposes them."""
    for parameter in command.params:
        if parameter.name == "what":
            return parameter.shell_complete(click.Context(command), "")[0].value
    return ""


def toml_of(path: tuple[str, ...], option: click.Option, value: Any) -> str:
    key = max(option.opts, key=len).removeprefix("--")
    return f"[{'.'.join(path)}]\n{key} = {json.dumps([value] if option.multiple else value)}\n"


def variable(path: tuple[str, ...], option: click.Option) -> str:
    name = max(option.opts, key=len).removeprefix("--")
    return "_".join(["RNNPROBE", *path, name]).upper().replace("-", "_")


@pytest.mark.parametrize(("path", "command", "option"), ROWS, ids=IDS)
def test_an_option_arrives_from_the_environment_and_a_file_as_if_typed(
    path: tuple[str, ...],
    command: click.Command,
    option: click.Option,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("my layers.py", "some file.keras"):
        Path(file).touch()
    text, toml = sample(option, what_of(command))
    beside = needed(command, option)
    typed = [option.opts[-1]] * int(text) if option.count else [option.opts[-1], text]
    expected = parsed(path, command, [*beside, *(typed[:1] if option.is_flag else typed)])
    without = option.default if option.required else None
    assert option.required or expected[str(option.name)] != without

    Path("c.toml").write_text(toml_of(path, option, toml))
    assert parsed(path, command, [*beside, "--config", "c.toml"]) == expected
    monkeypatch.setenv("RNNPROBE_CONFIG", "c.toml")
    assert parsed(path, command, beside) == expected
    monkeypatch.delenv("RNNPROBE_CONFIG")
    monkeypatch.setenv(variable(path, option), text)
    assert parsed(path, command, beside) == expected


def is_refused(path: tuple[str, ...], command: click.Command, arguments: list[str]) -> bool:
    try:
        parsed(path, command, arguments)
    except click.UsageError:
        return True
    return False


def refuses(path: tuple[str, ...], command: click.Command, option: click.Option) -> bool:
    """Return whether `?` is refused before any data or model is looked at."""
    typed = [option.opts[-1], "?"]
    return (
        option.is_flag or option.count or is_refused(path, command, needed(command, option) + typed)
    )


WRONG = [(name, row) for name, row in zip(IDS, ROWS, strict=True) if refuses(*row)]


def test_most_options_can_be_wrong() -> None:
    assert len(WRONG) > len(ROWS) / 2


@pytest.mark.parametrize(
    ("path", "command", "option"), [row for _, row in WRONG], ids=[name for name, _ in WRONG]
)
def test_a_wrong_value_names_its_file_or_variable_in_one_line(
    path: tuple[str, ...],
    command: click.Command,
    option: click.Option,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    beside = needed(command, option)
    Path("c.toml").write_text(toml_of(path, option, "?"))
    done = cli(*path, *beside, "--config", "c.toml")
    assert (done.status, done.out) == (2, "")
    assert "comes from 'c.toml'." in done.err
    assert len(done.err.splitlines()) == 1
    monkeypatch.setenv(variable(path, option), "?")
    done = cli(*path, *beside)
    assert done.status == 2
    assert f"comes from the environment variable {variable(path, option)}." in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(("path", "command"), list(commands()), ids=lambda value: str(value)[:20])
def test_every_command_takes_a_file_of_defaults_and_refuses_unknown_keys(
    path: tuple[str, ...], command: click.Command, cli: Cli
) -> None:
    assert any("--config" in parameter.opts for parameter in command.params)
    beside = needed(command, click.Option(["--none"]))
    arguments = [p.name for p in command.params if isinstance(p, click.Argument)]
    for key in ("nothing", "config", "help", *arguments):
        Path("c.toml").write_text(f"[{'.'.join(path)}]\n{key} = 1\n")
        done = cli(*path, *beside, "--config", "c.toml")
        assert done.status == 2
        assert f"'c.toml' sets '{key}', which '{' '.join(path)}' has not." in done.err
        assert len(done.err.splitlines()) == 1


def test_what_is_typed_stands_before_the_environment_and_that_before_the_file(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = dict(commands())["train",]
    Path("c.toml").write_text("[train]\nseed = 1\n")
    assert parsed(("train",), command, ["--config", "c.toml"])["seed"] == 1
    monkeypatch.setenv("RNNPROBE_TRAIN_SEED", "2")
    assert parsed(("train",), command, ["--config", "c.toml"])["seed"] == 2
    assert parsed(("train",), command, ["--config", "c.toml", "--seed", "3"])["seed"] == 3
    Path("other.toml").write_text("[train]\nepochs = 3\n")
    monkeypatch.setenv("RNNPROBE_CONFIG", "c.toml")
    monkeypatch.setenv("RNNPROBE_TRAIN_CONFIG", "missing.toml")
    assert parsed(("train",), command, ["--config", "other.toml"])["epochs"] == 3
    monkeypatch.setenv("RNNPROBE_CONFIG", "missing.toml")
    done = cli("train")
    assert done.status == 2
    assert "comes from the environment variable RNNPROBE_CONFIG." in done.err


def test_a_variable_of_no_option_is_refused_by_its_own_command_alone(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNPROBE_TRAIN_EPOCS", "3")
    done = cli("train")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "Error: The environment variable RNNPROBE_TRAIN_EPOCS names no option of "
        "'rnnprobe train'; unset it. Did you mean RNNPROBE_TRAIN_EPOCHS? "
        "See 'rnnprobe train --help'.\n"
    )
    assert cli("train", "--help").status == 0
    assert cli("data", "list").status == 0
