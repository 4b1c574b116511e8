from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import pytest

from rnnprobe import TrainSpec
from rnnprobe._fields import (
    INTEGER,
    LISTED,
    NOTHING,
    NUMBER,
    SOURCE,
    TABLE,
    TEXT,
    TRAIN,
    Fields,
    below,
    misfit,
)

FIELDS: Fields = {
    "seed": INTEGER,
    "name?": (str, NOTHING),
    "data": TABLE,
    **below("data", {"digest": TEXT, "limit?": (int, NOTHING)}),
    "history?": TABLE,
    "history.*": LISTED,
    "history.*.*": NUMBER,
}
RIGHT: dict[str, Any] = {"seed": 1, "data": {"digest": "0", "limit": None}, "more": object}


@pytest.mark.parametrize(
    "more", [{}, {"name": None}, {"history": {}}, {"history": {"a": [1, 2.5]}}]
)
def test_what_fits_may_hold_more_and_lack_what_may_be_missing(more: dict[str, Any]) -> None:
    assert misfit({**RIGHT, **more}, FIELDS) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": None}, "'seed' is None, expected int"),
        ({"seed": True}, "'seed' is True, expected int"),
        ({"seed": 1.0}, "'seed' is 1.0, expected int"),
        ({"name": 3}, "'name' is 3, expected str or null"),
        ({"data": {}}, "'data.digest' is missing"),
        ({"data": ["digest"]}, "'data' is ['digest'], expected dict"),
        ({"history": {"a": [1], "b": 2}}, "'history.*' is 2, expected list"),
        ({"history": {"a": [1, "x"]}}, "'history.*.*' is 'x', expected int or float"),
        ({"history": {"a": [1, math.nan]}}, "'history.*.*' is nan, expected finite int or float"),
        ({"history": {"a": [-math.inf]}}, "'history.*.*' is -inf, expected finite int or float"),
        ({"seed": math.nan}, "'seed' is nan, expected int"),
        ({"seed": 10**400}, "'seed' is 1" + "0" * 39 + ", expected finite int"),
        ({"name": ["x" * 99]}, "'name' is ['" + "x" * 38 + ", expected str or null"),
    ],
    ids=str,
)
def test_the_first_misfit_is_named(change: dict[str, Any], said: str) -> None:
    assert misfit({**RIGHT, **change}, FIELDS) == said


@pytest.mark.parametrize("document", [{}, [], None, "text"])
def test_what_is_no_table_lacks_the_first_field(document: Any) -> None:
    assert misfit(document, FIELDS) == "'seed' is missing"


def test_the_settings_of_training_are_all_there_and_of_the_kinds_that_they_have() -> None:
    assert {name.removesuffix("?") for name in TRAIN} == {field.name for field in fields(TrainSpec)}
    for name, kinds in TRAIN.items():
        assert isinstance(getattr(TrainSpec(), name.removesuffix("?")), kinds), name


def test_the_columns_of_a_source_are_a_list_of_names_where_there_are_some() -> None:
    for right in ({}, {"values": None}, {"values": ["ax", "ay"]}):
        assert misfit(right, SOURCE) is None
    assert misfit({"values": 5}, SOURCE) == "'values' is 5, expected list or null"
    assert misfit({"values": ["ax", 5]}, SOURCE) == "'values.*' is 5, expected str"
