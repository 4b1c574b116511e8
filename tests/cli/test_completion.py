"""Completion by Tab: what is proposed, by which shell, and without Keras."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from rnnprobe.attacks import ATTACKS
from rnnprobe.cli import COMMANDS
from rnnprobe.cli import cli as group
from rnnprobe.cli._complete import models, some_of
from rnnprobe.datasets import SUMMARIES
from rnnprobe.experiments import EXPERIMENTS
from rnnprobe.inspection import PARTS
from rnnprobe.optimizers import OPTIMIZERS


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with models, data and other files; names with spaces, hidden, unprintable ones."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.keras", "my model.keras", ".hidden.keras", "bad\nname.keras", "notes.txt",
                 "x.npz", "y.csv", "layers.py", "runs/r.keras", "runs/r.json"):  # fmt: skip
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    return tmp_path


def proposed(line: str) -> list[str]:
    """Return what is proposed at the end of a line; one that ends with a space begins a word."""
    words = shlex.split(line)
    *args, incomplete = [*words, ""] if line.endswith(" ") or not line else words
    completion = ShellComplete(group, {}, "rnnprobe", "_RNNPROBE_COMPLETE")
    return [item.value for item in completion.get_completions(args, incomplete)]


def model_parameters() -> Iterator[tuple[str, click.Command, click.Parameter]]:
    context = click.Context(group)
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        for parameter in command.params:
            metavar = str(getattr(parameter, "metavar", None) or parameter.name).upper()
            if isinstance(parameter, click.Argument) and "MODEL" in metavar:
                yield name, command, parameter


def test_commands_experiments_data_sets_and_names_are_proposed() -> None:
    assert proposed("") == list(COMMANDS)
    assert proposed("sy") == ["synthesize"]
    assert proposed("data ") == ["check", "list", "show"]
    assert "--limit-examples" in proposed("train --li")
    assert proposed("reproduce ") == list(EXPERIMENTS)
    for line in ("train --data ", "data check ", "worker host:1 --data ", "reproduce --data "):
        assert proposed(line) == [*SUMMARIES, "runs/", "x.npz", "y.csv"], line
    assert proposed("predict a.keras ") == [*SUMMARIES, "notes.txt", "runs/", "x.npz", "y.csv"]
    assert proposed("attack a.keras --attack ") == list(ATTACKS)
    assert proposed("train --cell l") == ["lstm"]
    assert proposed("tune --optimizer ") == list(OPTIMIZERS)
    assert proposed("inspect a.keras --what ") == list(PARTS)
    assert proposed("sweep --metric val") == ["val_accuracy", "val_loss"]
    assert proposed("sweep --rows learning") == ["learning-rate"]
    assert proposed("train --bidirectional ") == ["yes", "no"]
    assert proposed("train --units ") == []
    assert proposed("attack a.keras --import ") == ["layers.py", "runs/"]


def test_after_a_comma_the_next_name_is_proposed_and_none_twice() -> None:
    rest = [name for name in ATTACKS if name not in ("pgd", "apgd")]
    assert proposed("attack a.keras --attack pgd,apgd,") == [f"pgd,apgd,{name}" for name in rest]
    assert proposed("attack a.keras --attack pgd,apgd,h") == ["pgd,apgd,hotflip"]
    assert proposed("attack a.keras --attack pgd,x") == []
    complete = some_of(["a", "ab"])
    context, option = click.Context(group), click.Option(["--x"])
    assert [item.value for item in complete(context, option, "a")] == ["a", "ab"]
    assert [item.value for item in complete(context, option, "a,a")] == ["a,ab"]


@pytest.mark.parametrize(
    ("command", "parameter"),
    [row[1:] for row in model_parameters()],
    ids=[row[0] for row in model_parameters()],
)
def test_where_a_model_is_named_models_and_folders_alone_are_proposed(
    command: click.Command, parameter: click.Parameter
) -> None:
    found = parameter.shell_complete(click.Context(command), "")
    assert [item.value for item in found] == ["a.keras", "my model.keras", "runs/"]


def test_paths_keep_how_they_were_begun(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(incomplete: str) -> list[str]:
        option = click.Option(["--x"])
        return [item.value for item in models(click.Context(group), option, incomplete)]

    monkeypatch.setenv("HOME", str(folder))
    assert found("./a") == ["./a.keras"]
    assert found("runs/") == ["runs/r.keras"]
    assert found("runs/../m") == ["runs/../my model.keras"]
    assert found(f"{folder}/a") == [f"{folder}/a.keras"]
    assert found("~/a") == ["~/a.keras"]
    assert found(".h") == [".hidden.keras"]
    assert found("~nobody-of-this-name/x") == []
    assert found("no folder/x") == []
    assert found("a.keras/") == []


def answered(shell: str, line: str) -> subprocess.CompletedProcess[str]:
    """Ask as the script of a shell does."""
    words = line.split(" ")
    environment = {
        **os.environ,
        "_RNNPROBE_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": words[-1] if shell == "fish" else str(len(words) - 1),
    }
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('LOADED', *{m.partition('.')[0] for m in sys.modules},"
        " file=sys.stderr))\n"
        "from rnnprobe.cli import main\n"
        "main([])\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )


def test_nothing_heavy_is_imported_to_answer() -> None:
    for line in (
        "rnnprobe ",
        "rnnprobe attack --attack pgd,",
        "rnnprobe attack a",
        "rnnprobe reproduce ",
    ):
        done = answered("bash", line)
        assert done.stdout.strip()
        loaded = set(done.stderr.rpartition("LOADED")[2].split())
        assert not loaded & {"keras", "numpy", "pandas", "tensorflow", "rich", "scipy"}, line


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_an_option_with_an_equals_sign_stays_before_its_value(shell: str) -> None:
    done = answered(shell, "rnnprobe attack a.keras --attack=pgd,h")
    assert "--attack=pgd,hotflip" in done.stdout


KEYS = """
import os, pty, select, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:-3])
def hear(end, seconds=30.0):
    heard, until = b"", time.monotonic() + seconds
    while time.monotonic() < until and not end(heard):
        if select.select([terminal], [], [], 0.1)[0]:
            heard += os.read(terminal, 65536)
    return heard.decode()
os.write(terminal, sys.argv[-3].encode() + b"; echo REA''DY\\n")
hear(lambda heard: b"READY" in heard)
os.write(terminal, sys.argv[-2].encode() + b"\\t")
print(hear(lambda heard: sys.argv[-1].encode() in heard))
os.kill(pid, 9)
"""


@pytest.mark.parametrize(
    ("shell", "start"),
    [
        ("bash", ["bash", "--norc", "--noprofile", "-i"]),
        ("zsh", ["zsh", "-f", "-i"]),
        ("fish", ["fish", "--no-config", "-i"]),
    ],
)
def test_a_real_shell_completes(shell: str, start: list[str], tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = {
        "bash": 'eval "$(_RNNPROBE_COMPLETE=bash_source rnnprobe)"',
        "zsh": "autoload -Uz compinit; compinit -u; "
        'eval "$(_RNNPROBE_COMPLETE=zsh_source rnnprobe)"',
        "fish": "_RNNPROBE_COMPLETE=fish_source rnnprobe | source",
    }[shell]
    program = tmp_path / "bin" / "rnnprobe"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m rnnprobe "$@"\n')
    program.chmod(0o755)
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "TERM": "xterm" if shell == "fish" else "dumb",
    }
    for typed, completed in (
        ("rnnprobe attack my", r"my\ model.keras"),
        ("rnnprobe attack a.keras --attack pgd,h", "pgd,hotflip "),
    ):
        done = subprocess.run(
            [sys.executable, "-c", KEYS, *start, script, typed, completed],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert completed in done.stdout, done.stdout
