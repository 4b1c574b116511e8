"""Every example runs on tiny data, and what it prints, here and in the README, is true in form."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest

from rnnprobe import SequenceDataset, load_dataset

EXAMPLES = Path(__file__).parent.parent / "examples"
README = EXAMPLES / "README.md"
SCRIPTS = sorted(path.stem for path in EXAMPLES.glob("*.py"))

PARTS = {
    "<share>": r"[01]\.\d{3,4} \[[01]\.\d{3,4}, [01]\.\d{3,4}\] \(\d+ of \d+\)",
    "<mean>": r"[01]\.\d{3} \[[01]\.\d{3}, [01]\.\d{3}\]",
    "<gain>": r"[+-][01]\.\d{3} \[[+-][01]\.\d{3}, [+-][01]\.\d{3}\]",
    "<spread>": r"[01]\.\d{3,4} ± [01]\.\d{3,4} \(n = \d+\)",
    "<n>": r"[\d.]+",
    "<p>": r"p = [\d.e-]+",
    "<text>": r".+",
}
# The lines that each prints, in order; `*` before a line that may stand several times or not at
# all, `+` before one that stands once or more.
FORMS = {
    "tune_and_probe": """
        best of <n>: (?:lstm|gru), <n> units, learning rate <n>, batch size <n>
        validation accuracy <n>, chosen by it, so optimistic
        test accuracy <share>
        +\\d taken for \\d: <share>, pictures [\\d, ]+
    """,
    "sweep_and_compare": """
        validation accuracy, mean ± standard deviation over n seeds:
        +  <n> units, rate <n>: <spread>, <n> s a run
        best: <n> units, rate <n>, the best of 9, so its figure is optimistic
          on the test part, which chose nothing: <spread>
        cannot be told from it: <text>
        of the variance of validation accuracy among all <n> runs:
          units: <n>%
          learning_rate: <n>%
          units with learning_rate: <n>%
          between seeds: <n>%
    """,
    "sensor_csv": """
        PASS shape: values float32 \\(examples, steps, features\\): <text>, with a mask
        PASS finite values: all finite
        PASS value range: <text>
        PASS lengths: 2\\d to [56]\\d steps, median \\d\\d
        PASS classes: 3 classes, examples: <n> each
        PASS duplicates within parts: no input twice
        PASS duplicates across parts: no input on both sides of a split
        PASS equal inputs, different labels: none
        test accuracy <share>
        *\\w+ taken for \\w+: <share>
        a new circle of <n> moments is taken for a \\w+, probability <n>
        a new shake of <n> moments is taken for a \\w+, probability <n>
        a new swipe of <n> moments is taken for a \\w+, probability <n>
    """,
    "surnames_hotflip": """
        right: <share>
        the <n> names are <n> distinct ones, <n> of several languages: \
nobody can be right in more than <n>
        *\\w+ taken for \\w+: <share>
        right answers turned by at most 1 of the letters: <share>
        right answers turned by at most 2 of the letters: <share>
        *<text> is \\w+, but <text> is taken for \\w+
    """,
    "attack_and_harden": """
        right under noise, pixels changed by 0.01: <share>
        right under noise, pixels changed by 0.03: <share>
        right under noise, pixels changed by 0.1: <share>
        right under pgd, pixels changed by 0.01: <share>
        right under pgd, pixels changed by 0.03: <share>
        right under pgd, pixels changed by 0.1: <share>
        after <n> more updates, pixels changed by 0.03:
          before: right <share>, under all attacks together <share>
          control: right <spread>, under all attacks together <spread>
          pgd: right <spread>, under all attacks together <spread>
          before \\+ input threshold: right <share>, under all attacks together <share>
        pgd less control, adaptive: <gain>, <p>, (?:better|worse|no difference that can be told)
        pgd less control, clean: <gain>, <p>, (?:better|worse|no difference that can be told)
        before \\+ input threshold less before, adaptive: <gain>, <p>, <text>
    """,
    "attack_and_compare": """
        +(?:lstm|rnn): right <share>(?:
  pixels changed by at most <n>: right <share>){3}
  median change needed: <n> \\[<n>, <n>\\]
  of 15 checks of the attacks warn: <text>(?:
  <n> of 28 rows changed: of what was right fooled <share>){3}
    """,
    "inside_three_cells": """
        +(?:rnn|lstm|gru): <mean> right \\(\\d+ of \\d+\\)(?:
  gradient of the (?:hidden|cell) state at the first row: <n> \\[<n>, <n>\\] of that at the last, \
[\\w ]+)+(?:
  \\w+ gate: mean <mean>, <n>% of it above 0.9)*
  most of the most frequent mistake comes from row <n>
        cell states of five pictures, every row, every unit: \\(5, 28, 32\\)
    """,
    "mistakes_and_retrain": """
        +\\d taken for \\d: \\d+, \\d+, \\d+, [\\w ]+
        calibration error <n>, <n> by chance
        after 50% of the rows: <mean> right \\(\\d+ of \\d+\\)
        after 70% of the rows: <mean> right \\(\\d+ of \\d+\\)
        after 90% of the rows: <mean> right \\(\\d+ of \\d+\\)
        <n> of <n> training examples are mistaken by a model that had not seen them
        +test accuracy, [\\w ]+ less [\\w ]+: <gain>, <p>
    """,
}


def form_of(name: str) -> re.Pattern[str]:
    """Return what all that a script prints must match."""
    pattern = ""
    for line in FORMS[name].strip("\n").rstrip().split("\n        "):
        line = line.removeprefix("        ")
        times = line[0] if line[0] in "+*" else ""
        pattern += f"(?:{line.removeprefix(times)}\n){times}"
    for part, expression in PARTS.items():
        pattern = pattern.replace(part, expression)
    return re.compile(pattern)


def blocks() -> dict[str, str]:
    """Return the output in the README by the script whose heading it stands under."""
    text = README.read_text(encoding="utf-8")
    found = re.findall(
        r"^## (\w+)\.py\n(?:(?!^#).*\n)*?```text\n((?:(?!```).*\n)*)```$", text, re.M
    )
    return dict(found)


def check(name: str, printed: str) -> None:
    """Refuse output of another form, and numbers that contradict each other."""
    assert form_of(name).fullmatch(printed), printed
    for value, low, high, count, total in shares(printed):
        k, n, digits = int(count), int(total), len(value) - 2
        wilson = binomtest(k, n).proportion_ci(method="wilson")
        assert (value, low, high) == tuple(
            f"{number:.{digits}f}" for number in (k / n, wilson.low, wilson.high)
        )
    number = r"([+-]?\d+\.\d+)"
    for value, low, high in re.findall(rf"{number} \[{number}, {number}\]", printed):
        assert float(low) <= float(value) <= float(high), printed
    for spread, n in re.findall(rf"± {number} \(n = (\d+)\)", printed):
        assert float(spread) <= 0.71 and int(n) >= 2  # no shares are spread wider than 0 and 1
    for p_value in re.findall(r"p = ([\d.e-]+)", printed):
        assert 0 <= float(p_value) <= 1


def shares(printed: str) -> Iterator[tuple[str, ...]]:
    """Yield value, ends, count and total of each share; `right` may stand before the counts."""
    number = r"([01]\.\d{3,4})"
    pattern = rf"{number} \[{number}, {number}\](?: right)? \((\d+) of (\d+)\)"
    yield from re.findall(pattern, printed)


@pytest.fixture(scope="module")
def digits() -> SequenceDataset:
    """Enough to learn something from, and little to be tried on."""
    large, small = (load_dataset("mnist-5k", limit_examples=size) for size in (600, 24))
    return replace(large, validation=small.validation, test=small.test)


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Call the `main` of an example and return what it printed."""

    def call(name: str, *arguments: Any, **settings: Any) -> str:
        spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        capsys.readouterr()
        module.main(*arguments, **settings)
        return capsys.readouterr().out

    return call


Printed = Callable[..., str]


@pytest.mark.slow
def test_tune_and_probe_runs(printed: Printed, digits: SequenceDataset) -> None:
    check("tune_and_probe", printed("tune_and_probe", digits, trials=2, epochs=1))


@pytest.mark.slow
def test_sweep_and_compare_runs(printed: Printed, digits: SequenceDataset) -> None:
    check("sweep_and_compare", printed("sweep_and_compare", digits, repeats=2, epochs=1))


def test_sensor_csv_runs(printed: Printed) -> None:
    check("sensor_csv", printed("sensor_csv", recordings=60, epochs=1))


def test_surnames_hotflip_runs(printed: Printed, names: SequenceDataset) -> None:
    check("surnames_hotflip", printed("surnames_hotflip", names, units=8, epochs=6))


@pytest.mark.slow
def test_attack_and_harden_runs(printed: Printed, digits: SequenceDataset) -> None:
    check("attack_and_harden", printed("attack_and_harden", digits, units=16, epochs=3, repeats=2))


@pytest.mark.slow
def test_attack_and_compare_runs(printed: Printed, digits: SequenceDataset) -> None:
    check("attack_and_compare", printed("attack_and_compare", digits, units=16, epochs=10))


def test_inside_three_cells_runs(printed: Printed, digits: SequenceDataset) -> None:
    check("inside_three_cells", printed("inside_three_cells", digits, epochs=1))


@pytest.mark.slow
def test_mistakes_and_retrain_runs(printed: Printed, digits: SequenceDataset) -> None:
    given = {"units": 8, "epochs": 1, "repeats": 2}
    check("mistakes_and_retrain", printed("mistakes_and_retrain", digits, **given))


@pytest.mark.slow
def test_lab_report_runs(printed: Printed, tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    said = printed("lab_report", ["--quick", "--out", str(folder)])
    assert said.endswith(f"7 answers in {folder / 'report.md'}\n")
    assert _pictures_shown(folder / "report.md") == {path.name for path in folder.glob("*.png")}


def test_the_readme_of_the_examples_names_every_script_and_shows_what_it_prints() -> None:
    text, outputs = README.read_text(encoding="utf-8"), blocks()
    assert set(outputs) == set(FORMS) == set(SCRIPTS) - {"lab_report"}
    assert "lab_report/report.md" in text
    for name in SCRIPTS:
        assert f"({name}.py)" in text.split("\n## ")[0], f"{name} is not in the table"
    for name, output in outputs.items():
        check(name, output)


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_says_how_to_run_it_and_starts_nothing_when_imported(name: str) -> None:
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    docstring = text.split('"""')[1]
    assert docstring.splitlines()[0].endswith(("?", "."))
    assert f"python examples/{name}.py" in docstring
    assert re.search(r'^if __name__ == "__main__":', text, re.M)


def test_nothing_beside_the_examples_names_a_machine() -> None:
    for path in EXAMPLES.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            found = re.search(rb"(?<![\w.:/])/(?:root|work|home|tmp|Users)/", path.read_bytes())
            assert not found, f"{path} names a folder of a machine: {found}"


def test_the_lab_report_shows_the_pictures_beside_it() -> None:
    report = EXAMPLES / "lab_report" / "report.md"
    assert _pictures_shown(report) == {path.name for path in report.parent.glob("*.png")}
    assert report.read_text(encoding="utf-8").count("**Answer.**") == 7
    assert sum(path.stat().st_size for path in report.parent.iterdir()) < 1_000_000


def _pictures_shown(report: Path) -> set[str]:
    return set(re.findall(r"!\[[^\]]+\]\(([^)]+)\)", report.read_text(encoding="utf-8")))
