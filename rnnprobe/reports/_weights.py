"""The weights of a model as a table and sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from rnnprobe.inspection.weights import LARGEST_SPECTRUM, WeightBlock
from rnnprobe.reports._common import counted
from rnnprobe.table import Column, Finding, Table, escape

_MOST_NAMED = 4
_ROUNDING = 1e-5

_COLUMNS = (
    Column("layer", "layer"),
    Column("kind", "kind"),
    Column("part", "part"),
    Column("gate", "gate"),
    Column("shape", "shape"),
    Column("norm", "norm", "decimal", 3),
    Column("mean", "mean", "decimal", 4),
    Column("deviation", "sd", "decimal", 4),
    Column("largest", "largest", "decimal", 4),
    Column("spectral_radius", "spectral radius", "decimal", 3),
    Column("notes", "remark"),
)


def weights_tables(blocks: Sequence[WeightBlock]) -> dict[str, Table]:
    """Return the numbers of each block of one model; exact ones, hence without intervals.

    Args:
        blocks: What `read_weights` returned.
    """
    rows = tuple(_row(block) for block in blocks)
    title = "Weights by gate: norm (root of the sum of squares), mean, sd, largest |weight|"
    return {"weights": Table(_COLUMNS, rows, title)}


def _row(block: WeightBlock) -> tuple[Any, ...]:
    return (
        block.layer,
        block.kind,
        block.part,
        block.gate,
        " × ".join(map(str, block.shape)) or "1",
        block.norm,
        block.mean,
        block.deviation,
        block.largest,
        block.spectral_radius,
        "; ".join(block.notes) or None,
    )


def weights_findings(blocks: Sequence[WeightBlock]) -> tuple[Finding, ...]:
    """Return the sentences on the weights of one model.

    Args:
        blocks: What `read_weights` returned.
    """
    found = (
        _bad_finding(blocks, "weights_not_finite", "Weights that are no finite numbers", _is_odd),
        _bad_finding(
            blocks, "weights_all_zero", "Weights that are all 0 (most biases start so)", _is_zero
        ),
        _plain_radius_finding(blocks),
        _gated_radius_finding(blocks),
        _no_radius_finding(blocks),
        _share_finding(blocks),
        _forget_finding(blocks),
    )
    return tuple(finding for finding in found if finding is not None)


def weights_note(blocks: Sequence[WeightBlock]) -> str:
    """Return how sentences and tables are to be read, those of one model or of several."""
    told = ["All numbers are exact, not estimates."]
    radii = [block for block in blocks if block.spectral_radius is not None]
    if any(block.gate is None for block in radii):
        told.append(
            "The spectral radius of a recurrence without gates is of its linear part: tanh scales "
            "each unit anew at every step, so that a radius above 1 does not imply exploding "
            "gradients, nor one below 1 vanishing ones; a largest singular value below 1 does "
            "imply that the trace of an earlier state fades."
        )
    if any(block.gate is not None for block in radii):
        told.append(
            "With gates a spectral radius of 1 is no border: the gates, which it does not hold, "
            "scale what reaches the next step."
        )
    if any(block.started_at_one for block in blocks):
        told.append(
            "Keras sets the forget bias to 1 before training (unit_forget_bias), other biases to "
            "0: what training changed is the difference to 1."
        )
    return " ".join(told)


def _is_odd(block: WeightBlock) -> bool:
    return not np.isfinite(block.values).all()


def _is_zero(block: WeightBlock) -> bool:
    return block.norm == 0


def _bad_finding(
    blocks: Sequence[WeightBlock], key: str, lead: str, test: Callable[[WeightBlock], bool]
) -> Finding | None:
    names = [_name(block) for block in blocks if test(block)]
    if not names:
        return None
    return Finding(key, f"{lead}: {_listed([escape(name) for name in names])}", names)


def _name(block: WeightBlock) -> str:
    return " ".join(filter(None, (block.layer, block.part, block.gate)))


def _listed(texts: Sequence[str], separator: str = ", ") -> str:
    """Return the first few texts, and how many more there are."""
    more = len(texts) - _MOST_NAMED
    shown = separator.join(texts[:_MOST_NAMED])
    return f"{shown}{separator}and {more} more" if more > 0 else shown


def _by_layer(
    blocks: Sequence[WeightBlock], part: str, *, gated: bool
) -> Iterator[tuple[str, list[WeightBlock]]]:
    """Return the blocks of one part by layer, those with gates or those without."""
    chosen = [b for b in blocks if b.part == part and (b.gate is not None) == gated]
    for layer, own in groupby(chosen, key=lambda block: block.layer):
        yield layer, list(own)


def _plain_radius_finding(blocks: Sequence[WeightBlock]) -> Finding | None:
    """Say what the spectral radius of a recurrence without gates implies."""
    values, texts = {}, []
    for layer, (block, *_) in _by_layer(blocks, "recurrent kernel", gated=False):
        radius = block.spectral_radius
        if radius is None:
            continue
        gain = float(np.linalg.norm(block.values.astype(np.float64), 2))
        values[layer] = {"spectral_radius": radius, "largest_singular_value": gain}
        texts.append(
            f"{escape(layer)} {radius:.3f} ({_radius_phrase(radius)}), largest singular value "
            f"{gain:.3f}"
        )
    if not texts:
        return None
    sentence = f"Spectral radius of a recurrence without gates: {_listed(texts, '; ')}"
    return Finding("spectral_radius", sentence, values)


def _radius_phrase(radius: float) -> str:
    """Say what becomes of the powers of a matrix; float32 weights are not exact at 1."""
    if abs(radius - 1) < _ROUNDING:
        return "1 but for rounding: its powers neither fade nor grow exponentially"
    return "its powers fade in the end" if radius < 1 else "its powers grow without bound"


def _gated_radius_finding(blocks: Sequence[WeightBlock]) -> Finding | None:
    values, texts = {}, []
    for layer, own in _by_layer(blocks, "recurrent kernel", gated=True):
        radii = {b.gate: b.spectral_radius for b in own if b.spectral_radius is not None}
        if radii:
            values[layer] = radii
            listed = ", ".join(f"{gate} {radius:.2f}" for gate, radius in radii.items())
            texts.append(f"{escape(layer)} {listed}")
    if not texts:
        return None
    sentence = f"Spectral radius of the recurrent kernel by gate: {_listed(texts, '; ')}"
    return Finding("spectral_radius_by_gate", sentence, values)


def _no_radius_finding(blocks: Sequence[WeightBlock]) -> Finding | None:
    layers = {
        b.layer: len(b.values)
        for b in blocks
        if b.part == "recurrent kernel" and b.values.ndim == 2 and len(b.values) > LARGEST_SPECTRUM
    }
    if not layers:
        return None
    texts = [f"{escape(layer)} ({units:,} units)" for layer, units in layers.items()]
    sentence = (
        f"No spectral radius of {_listed(texts)}: the time for all eigenvalues grows with the cube "
        f"of the units, and above {LARGEST_SPECTRUM:,} they are left out. The "
        "usual quicker method (ARPACK) missed the largest one of a nearly orthogonal matrix"
    )
    return Finding("spectral_radius_left_out", sentence, layers)


def _share_finding(blocks: Sequence[WeightBlock]) -> Finding | None:
    """Say how much of the squared norm of a recurrent kernel each gate has."""
    values, texts = {}, []
    for layer, own in _by_layer(blocks, "recurrent kernel", gated=True):
        squares = {block.gate: block.norm**2 for block in own if block.norm is not None}
        total = sum(squares.values())
        if len(squares) == len(own) and total > 0:
            values[layer] = {gate: square / total for gate, square in squares.items()}
            listed = ", ".join(f"{g} {100 * share:.0f} %" for g, share in values[layer].items())
            texts.append(f"{escape(layer)} {listed}")
    if not texts:
        return None
    sentence = (
        f"Share of each gate in the squared norm of the recurrent kernel: {_listed(texts, '; ')}"
    )
    return Finding("weights_by_gate", sentence, values)


def _forget_finding(blocks: Sequence[WeightBlock]) -> Finding | None:
    values, texts = {}, []
    for block in blocks:
        if block.started_at_one and block.mean is not None and block.deviation is not None:
            values[block.layer] = {"mean": block.mean, "sd": block.deviation}
            texts.append(
                f"{escape(block.layer)} {block.mean:.3f} (sd {block.deviation:.3f} over "
                f"{counted(block.values.size, 'unit')}, {block.mean - 1:+.3f} against the start)"
            )
    if not texts:
        return None
    sentence = f"Forget bias, mean: {_listed(texts, '; ')}"
    return Finding("forget_bias", sentence, values)
