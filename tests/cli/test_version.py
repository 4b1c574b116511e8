"""`rnnprobe --version`, and what it runs on under -v."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Cli

import rnnprobe


@pytest.mark.parametrize(
    "arguments", [("--version", "-v"), ("-v", "--version"), ("-vv", "--version")]
)
def test_versions_of_what_it_runs_on_in_either_order(
    cli: Cli, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    done = cli(*arguments)
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"rnnprobe {rnnprobe.__version__}",
        f"Keras {importlib.metadata.version('keras')}",
        f"backend tensorflow {importlib.metadata.version('tensorflow')}",
        f"KerasTuner {importlib.metadata.version('keras-tuner')}",
        f"NumPy {importlib.metadata.version('numpy')}",
        f"Python {platform.python_version()} ({platform.python_implementation()})",
        f"platform {platform.platform()}",
    ]


def test_the_version_alone_is_one_line(cli: Cli) -> None:
    assert cli("--version").out == f"rnnprobe {rnnprobe.__version__}\n"


def test_the_backend_is_that_of_the_environment_or_of_keras_json(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert "backend tensorflow " in cli("--version", "-v").out
    for text in (json.dumps({"backend": "numpy"}), json.dumps({"backend": "no-such-package"})):
        (tmp_path / "keras.json").write_text(text)
        out = cli("--version", "-v").out
        expected = importlib.metadata.version("numpy") if "numpy" in text else "is not installed"
        assert f"backend {json.loads(text)['backend']} {expected}\n" in out
    for text in ("{", "[]", "{}"):
        (tmp_path / "keras.json").write_text(text)
        assert "backend tensorflow " in cli("--version", "-v").out
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert "backend jax " in cli("--version", "-v").out


def test_verbose_before_a_command_is_refused_and_no_variable_asks_for_it(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = cli("-v", "data", "list")
    assert done.status == 2
    assert "-v before a command goes with --version alone; give it after." in done.err
    monkeypatch.setenv("RNNPROBE_VERBOSE", "1")
    monkeypatch.setenv("RNNPROBE_VERSION", "1")
    assert "mnist-5k" in cli("data", "list").out


def test_neither_keras_nor_numpy_is_imported_for_it() -> None:
    code = (
        "import sys\n"
        "from rnnprobe.cli import run\n"
        "assert run(['--version', '-v']) == 0\n"
        "print('LOADED', *{m.partition('.')[0] for m in sys.modules})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.rpartition("LOADED")[2].split())
    assert not loaded & {"keras", "numpy", "tensorflow", "keras_tuner"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["confusions", "none.keras"], "There is no model file 'none.keras'."),
        (["report", "none.keras"], "There is no run folder or model 'none.keras'."),
        (["attack", "none.keras", "--attack", "pdg"], "Unknown attack 'pdg'. Did you mean 'pgd'?"),
    ],
)
def test_what_is_not_there_is_told_before_keras_loads(arguments: list[str], told: str) -> None:
    code = (
        "import sys\nfrom rnnprobe.cli import run\n"
        f"assert run({arguments!r}) == 2\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert told in done.stderr
