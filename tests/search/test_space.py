from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnprobe import ModelSpec, SearchSpace, TrainSpec
from rnnprobe.search.space import AXES, canonical, parse_axis, to_specs


@pytest.mark.parametrize(
    ("axis", "text", "values"),
    [
        ("units", "16,32,64", (16, 32, 64)),
        ("units", "16..4096:x2", (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)),
        ("units", "10..30:+10,100", (10, 20, 30, 100)),
        ("dropout", "0..0.5:+0.1", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)),
        ("learning_rate", "1e-4..1e-1:x10", (1e-4, 1e-3, 1e-2, 1e-1)),
        ("learning_rate", "1e-3", (1e-3,)),
        ("bidirectional", "yes,no", (True, False)),
        ("clip_norm", "none, 1", (None, 1.0)),
        ("optimizer", "adam,sgd", ("adam", "sgd")),
        ("cell", "lstm,cnn,my.module:cell", ("lstm", "cnn", "my.module:cell")),
    ],
)
def test_lists_and_ranges(axis: str, text: str, values: tuple[object, ...]) -> None:
    parsed = parse_axis(AXES[axis], text)
    assert parsed == values
    assert [type(value) for value in parsed] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("axis", "text", "message"),
    [
        ("units", "a", "--units got 'a', expected whole numbers like 16,32 or 16..128:x2"),
        ("units", "", "got ''"),
        ("units", "1.5", "expected whole numbers"),
        ("units", "0", "--units must be at least 1, but got 0"),
        ("units", "16,16", "lists 16 twice"),
        ("units", "16..4", "expected LOW..HIGH:xFACTOR or LOW..HIGH:"),
        ("units", "64..16:x2", "does not lead from its low end"),
        ("units", "16..64:x1", "does not lead"),
        ("units", "0..64:x2", "does not lead"),
        ("units", "1..1e9:+1", "more than 10000 values"),
        ("units", "1..inf:+1", "does not lead|expected LOW"),
        ("dropout", "1", "at least 0 and below 1"),
        ("dropout", "nan", "at least 0 and below 1"),
        ("learning_rate", "0", "--learning-rate must be above 0"),
        ("learning_rate", "inf", "must be above 0"),
        ("bidirectional", "maybe", "expected yes or no"),
        ("optimizer", "adma", "Did you mean 'adam'"),
        ("loss", "hinge", "Available: cross-entropy, mean-squared-error"),
        ("cell", "lstn", "Did you mean 'lstm'.*Your own is named as package.module:function"),
        ("optimizer", "a..b:x2", "takes a list of values, not the range"),
    ],
)
def test_what_cannot_be_read_says_what_is_expected(axis: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_axis(AXES[axis], text)


@given(st.text(max_size=20))
def test_any_text_is_values_or_a_value_error(text: str) -> None:
    for axis in AXES.values():
        try:
            assert parse_axis(axis, text)
        except ValueError as exc:
            assert str(exc)


def test_axes_are_the_fields_of_the_records() -> None:
    for axis in AXES.values():
        record = ModelSpec() if axis.owner == "model" else TrainSpec()
        assert getattr(record, axis.name) == axis.default


def test_axes_that_mean_nothing_collapse() -> None:
    space = SearchSpace(cell=("lstm", "cnn", "dense"), units=(8, 16), bidirectional=(True, False))
    assert space.size == 4 + 1 + 2
    keys = [tuple(configuration.values()) for configuration in space.untried([])]
    assert len(keys) == len(set(keys)) == 7
    assert SearchSpace(optimizer=("adam", "momentum"), momentum=(0.5, 0.9)).size == 3


def test_axes_that_mean_nothing_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match="--units means nothing for the cell cnn"):
        SearchSpace(cell="cnn", units=(8, 16))
    with pytest.raises(ValueError, match="--momentum means nothing for the optimizer adam"):
        SearchSpace(momentum=0.5)
    with pytest.raises(ValueError, match="Unknown axis 'unit'"):
        SearchSpace(unit=3)
    with pytest.raises(ValueError, match=r"--units got 16.5, expected a value of kind integer"):
        SearchSpace(units=16.5)
    assert SearchSpace(dropout=[0, 0.2]).values["dropout"] == (0.0, 0.2)
    with pytest.raises(ValueError, match="has no values"):
        SearchSpace(units=())


def test_untried_leaves_out_what_was_tried() -> None:
    space = SearchSpace(units=(8, 16), layers=(1, 2))
    first, *others = space.untried([])
    assert space.untried([first]) == others
    assert space.untried([first, *others]) == []


def test_a_huge_space_is_sampled() -> None:
    space = SearchSpace(units=range(1, 1001), batch_size=range(1, 1001))
    assert space.size == 10**6
    assert len(space.untried([])) > 50_000


def test_specs_take_the_values_and_defaults() -> None:
    values = {name: axis.default for name, axis in AXES.items()} | {"units": 7, "clip_norm": 2.0}
    model, train = to_specs(canonical(values), epochs=3, seed=4)
    assert model == ModelSpec(units=7)
    assert train == TrainSpec(clip_norm=2.0, epochs=3, seed=4)
