"""What attacks on tokens share: what may be put where, and quick answers about many variants."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rnnprobe.attacks._attempt import reached
from rnnprobe.attacks._region import counted_steps, generators
from rnnprobe.errors import DataError
from rnnprobe.losses import Loss, Margin, TargetedMargin
from rnnprobe.protocols import Classifier
from rnnprobe.records import Array, Budget

_PER_CALL = 8192  # sequences in one call; more are no faster and need more memory
_HELD = 2**22  # tokens of candidates held at a time
_SCORES = 4_000_000  # first-order scores held at a time


class Candidates(NamedTuple):
    """Replacements to be tried.

    Args:
        parents: int64 (num_candidates,), which point each changes.
        substitutions: int64 (num_candidates,), a column of `TokenRegion.substitutions`.
    """

    parents: Array
    substitutions: Array


@dataclass(frozen=True, eq=False)
class Judged:
    """Variants of examples and what the model says of them.

    Args:
        rows: int64 (num_points,), the example that each comes from.
        points: int32 (num_points, width).
        predicted: int64 (num_points,), classes.
        fooled: bool (num_points,).
        margins: float64 (num_points,), the larger the better for the attacker.
    """

    rows: Array
    points: Array
    predicted: Array
    fooled: Array
    margins: Array

    @property
    def num_flipped(self) -> int:
        """The number of examples of which some variant fools the model."""
        return len(np.unique(self.rows[self.fooled]))

    def joined(self, other: Judged) -> Judged:
        """Return the variants of both."""
        names = (field.name for field in dataclasses.fields(self))
        return Judged(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in names))

    def ranked(self, beam: int) -> tuple[Judged, Judged]:
        """Return the best variant of each example, and the `beam` best of those that resist.

        One that fools the model is better than one that does not, then the margin counts.
        """
        order = np.lexsort((-self.margins, ~self.fooled, self.rows))
        first = np.searchsorted(self.rows[order], self.rows[order])
        rank = np.arange(len(order)) - first
        resists = ~self.fooled[order][first]
        return self._take(order[rank == 0]), self._take(order[resists & (rank < beam)])

    def _take(self, indices: Array) -> Judged:
        names = (field.name for field in dataclasses.fields(self))
        return Judged(*(getattr(self, name)[indices] for name in names))


@dataclass(frozen=True, eq=False)
class TokenRegion:
    """The sequences that an attack on tokens may return, example by example.

    Args:
        x: int32 (num_examples, num_steps), the given examples; 0 is padding.
        changeable: bool (num_examples, num_steps), True at the steps that may change.
        tokens: int32 (num_allowed,), ascending, those that may be put in.
        edits: How many steps of an example may change.
    """

    x: Array
    changeable: Array
    tokens: Array
    edits: int

    @classmethod
    def of(
        cls,
        model: Classifier,
        x: Array,
        budget: Budget,
        mask: Array | None,
        changeable: Array | None,
    ) -> TokenRegion:
        """Return the region of a budget; see `Attack` for the arguments.

        Raises:
            ValueError: The examples are values, the norm does not count edits, or the bounds are
                no tokens.
        """
        if x.ndim != 2 or not np.issubdtype(x.dtype, np.integer) or budget.norm != "edits":
            raise ValueError(
                "This attack replaces tokens, int32 (num_examples, num_steps), in the norm edits, "
                f"but got {x.dtype} of shape {x.shape} and norm='{budget.norm}'; values are "
                "changed by pgd and others in linf and l2."
            )
        lower, upper = budget.bounds.lower, budget.bounds.upper
        if not (lower >= 1 and lower == int(lower) and math.isfinite(upper)):
            raise ValueError(
                "The bounds must be whole numbers from 1, the first and the last token that may be "
                f"put in (0 is padding), but got Bounds({lower}, {upper})."
            )
        tokens = np.arange(int(lower), math.floor(upper) + 1, dtype=np.int32)
        steps = counted_steps(model, x, mask) & (x != 0)
        if changeable is not None:
            steps &= changeable
        steps &= ~np.isin(x, tokens) | (len(tokens) > 1)
        return cls(x, steps, tokens, int(min(budget.epsilon, x.shape[1])))

    def take(self, rows: Array) -> TokenRegion:
        """Return the region of the examples `rows`."""
        return TokenRegion(self.x[rows], self.changeable[rows], self.tokens, self.edits)

    @property
    def num_substitutions(self) -> Array:
        """int64 (num_examples,): in how many ways one token can be replaced."""
        others = len(self.tokens) - np.isin(self.x, self.tokens)
        return np.asarray((self.changeable * others).sum(axis=1))

    def substitutions(self, rows: Array, points: Array) -> Array:
        """Return bool (num_points, width * num_allowed), True at replacements that may follow.

        A step that differs from the given example is never changed again.

        Args:
            rows: int64 (num_points,), the example that each point comes from.
            points: int32 (num_points, width), without the padding behind.
        """
        width = points.shape[1]
        open_steps = self.changeable[rows, :width] & (points == self.x[rows, :width])
        found = open_steps[..., np.newaxis] & (self.tokens != points[..., np.newaxis])
        return np.asarray(found.reshape(len(points), points.shape[1] * len(self.tokens)))

    def replaced(self, points: Array, candidates: Candidates) -> Array:
        """Return int32 (num_candidates, width), points with one token replaced.

        Args:
            points: int32 (num_points, width).
            candidates: Replacements at these.
        """
        steps, tokens = np.divmod(candidates.substitutions, len(self.tokens))
        changed = points[candidates.parents]
        changed[np.arange(len(changed)), steps] = self.tokens[tokens]
        return changed

    def random_points(self, seed: int) -> Array:
        """Return the examples with as many random steps changed as allowed, to random tokens."""
        points = self.x.copy()
        for row, generator in enumerate(generators(seed, self.x)):
            steps = generator.permutation(np.flatnonzero(self.changeable[row]))[: self.edits]
            present = np.searchsorted(self.tokens, self.x[row, steps])
            inside = np.isin(self.x[row, steps], self.tokens)
            drawn = generator.integers(0, len(self.tokens) - inside)
            points[row, steps] = self.tokens[drawn + (inside & (drawn >= present))]
        return points


class Questions:
    """Asks one model about variants of examples, without the padding where that changes nothing.

    Padding is cut off an example where the model gives the example and three strong variants of
    it the same logits without; it is kept where these differ, and where the model refuses.

    Args:
        model: What is asked.
        region: The examples and what may change.
        y: int32 (num_examples,), the true classes, or the targets.
        mask: bool (num_examples, num_steps), or None.
        targeted: Whether `y` is to be reached.

    Attributes:
        num_classes: How many the model tells apart.
        widths: int64 (num_examples,), how many steps are asked about.
        fooled: bool (num_examples,), whether the example is wrong, or right, as it is.
        margins: float64 (num_examples,), of the examples as they are.
    """

    def __init__(
        self,
        model: Classifier,
        region: TokenRegion,
        y: Array,
        mask: Array | None,
        *,
        targeted: bool,
    ) -> None:
        self._model, self._mask = model, mask
        self._y, self._targeted = y, targeted
        self._loss: Loss = TargetedMargin(y) if targeted else Margin(y)
        self.region = region
        logits = model.logits(region.x, mask)
        self.num_classes = logits.shape[1]
        self.margins = self._loss.values(logits)
        self.fooled = reached(logits, y, targeted=targeted)
        self.widths = self._needed()

    def _needed(self) -> Array:
        full = self.region.x.shape[1]
        needed = np.where(self.region.x != 0, np.arange(full) + 1, 1).max(axis=1, initial=1)
        for width in np.unique(needed[needed < full]):
            rows = np.flatnonzero(needed == width)
            needed[rows] = np.where(self._same_without(rows, width), width, full)
        return np.asarray(needed)

    def _same_without(self, rows: Array, width: int) -> Array:
        """Return bool, one for each of `rows`: whether its padding may be cut off."""
        region, same = self.region, np.ones(len(rows), bool)
        tokens = region.tokens[[0, len(region.tokens) // 2, -1]]
        for token in (None, *tokens):
            points = region.x[rows]
            if token is not None:
                points = np.where(region.changeable[rows], token, points)
            try:
                cut = self.logits(rows, points[:, :width])
            except (DataError, ValueError):  # a model that takes one length alone
                return np.zeros(len(rows), bool)
            same &= np.isclose(cut, self.logits(rows, points), 1e-5, 1e-5).all(axis=1)
        return same

    def blocks(self, rows: Array, exhaustive: int, chosen: int) -> Iterator[Array]:
        """Yield the examples `rows` in parts of one width, whose candidates fit into memory.

        Args:
            rows: int64 (any,).
            exhaustive: So many candidates of an example there are, where all are asked about.
            chosen: And so many, where some are.
        """
        for width in np.unique(self.widths[rows]):
            alike = rows[self.widths[rows] == width]
            most = max(1, chosen, min(exhaustive, int(width) * len(self.region.tokens)))
            size = max(1, _HELD // (int(width) * most))
            for start in range(0, len(alike), size):
                yield alike[start : start + size]

    def logits(self, rows: Array, points: Array) -> Array:
        """Return float32 (num_points, num_classes) of points, int32 (num_points, width)."""
        if not len(points):
            return np.zeros((0, self.num_classes), np.float32)
        parts = (slice(at, at + _PER_CALL) for at in range(0, len(points), _PER_CALL))
        width = points.shape[1]
        return np.concatenate(
            [self._model.logits(points[p], self._masks(rows[p], width)) for p in parts]
        )

    def judge(self, rows: Array, points: Array) -> Judged:
        """Return what the model says of points, int32 (num_points, width), of examples `rows`."""
        logits = self.logits(rows, points)
        fooled = reached(logits, self._y[rows], targeted=self._targeted)
        margins = self._loss.take(rows).values(logits)
        return Judged(rows, points, logits.argmax(axis=1), fooled, margins)

    def shortlist(self, rows: Array, points: Array, embeddings: Array, size: int) -> Candidates:
        """Return the replacements at each point that raise the margin most, to first order.

        Args:
            rows: int64 (num_points,), the example that each point comes from.
            points: int32 (num_points, width).
            embeddings: float32 (num_tokens, embedding_size), what tokens are looked up in.
            size: How many of each point.

        References:
            Ebrahimi, Rao, Lowd and Dou, HotFlip: white-box adversarial examples for text
            classification, ACL 2018, https://arxiv.org/abs/1712.06751
        """
        offered = embeddings[self.region.tokens].T
        at_once = max(1, _SCORES // (points.shape[1] * len(self.region.tokens)))
        found = []
        for start in range(0, len(points), at_once):
            part = slice(start, start + at_once)
            slope = self._slope(rows[part], points[part])
            present = (slope * embeddings[points[part]]).sum(axis=2, keepdims=True)
            scores = (slope @ offered - present).reshape(len(slope), -1)
            possible = self.region.substitutions(rows[part], points[part])
            parents, columns = _largest(np.where(possible, scores, -np.inf), size)
            found.append((parents + start, columns))
        return Candidates(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))

    def _slope(self, rows: Array, points: Array) -> Array:
        # At full width: a graph for the gradient is compiled for each width.
        padded = self.region.x[rows]
        width = points.shape[1]
        padded[:, :width] = points
        masks = self._masks(rows, padded.shape[1])
        _, gradient = self._model.loss_gradient(padded, self._loss.take(rows), masks)
        return np.nan_to_num(gradient[:, :width])

    def _masks(self, rows: Array, width: int) -> Array | None:
        return None if self._mask is None else self._mask[rows, :width]


def _largest(scores: Array, size: int) -> tuple[Array, Array]:
    """Return row and column, ascending, of the `size` largest finite scores of each row."""
    size = min(size, scores.shape[1])
    columns = np.argpartition(-scores, size - 1, axis=1)[:, :size] if size else scores[:, :0]
    columns = np.sort(columns, axis=1).astype(np.int64)
    rows = np.broadcast_to(np.arange(len(scores))[:, np.newaxis], columns.shape)
    finite = np.isfinite(np.take_along_axis(scores, columns, axis=1))
    return rows[finite], columns[finite]
