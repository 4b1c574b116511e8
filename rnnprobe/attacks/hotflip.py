"""HotFlip: which tokens to replace, by the gradient and then by asking the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rnnprobe.attacks._tokens import Candidates, Judged, Questions, TokenRegion
from rnnprobe.errors import DataError, ModelError
from rnnprobe.protocols import Classifier
from rnnprobe.records import Array, Budget

_WITHOUT = "HotFlip(shortlist=0) does without the gradient."


@dataclass(frozen=True)
class HotFlip:
    """Replaces as few tokens as fool the model; says exactly where one cannot.

    The gradient tells, to first order, what each replacement adds to the margin; the most promising
    ones are tried. Where none of them fools the model and there are few enough, all others are
    tried too, so that an example that withstands one edit withstands every single one. More edits
    are found by a beam search, which is a bound and no certificate. Unlike the published attack it
    judges candidates by the model and not by the gradient's estimate, follows the margin and not
    the cross-entropy, and neither inserts nor deletes.

    A model without the method `embedding_matrix` is asked about all replacements. Padding behind an
    example is cut off where a few trials show that the model does without it.

    Args:
        beam: How many changed examples each further edit starts from, at least 1.
        shortlist: How many replacements in each of them are tried, at least 0; 0 does without the
            gradient and tries all.
        exhaustive: How many replacements an example may have so that all are tried, at least 0.
        targeted: Whether `y` are the classes to reach.

    References:
        Ebrahimi, Rao, Lowd and Dou, HotFlip: white-box adversarial examples for text
        classification, ACL 2018, https://arxiv.org/abs/1712.06751

    Example:
        >>> from rnnprobe import Bounds, Budget
        >>> budget = Budget(1, "edits", Bounds(2, dataset.num_tokens - 1))   # doctest: +SKIP
        >>> changed = HotFlip()(classifier, split.x, split.y, budget)        # doctest: +SKIP
    """

    beam: int = 10
    shortlist: int = 50
    exhaustive: int = 5000
    targeted: bool = False

    def __post_init__(self) -> None:
        for name, least in (("beam", 1), ("shortlist", 0), ("exhaustive", 0)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"`{name} >= {least}` must hold, but got {name}={getattr(self, name)}."
                )

    def __call__(
        self,
        model: Classifier,
        x: Array,
        y: Array,
        budget: Budget,
        *,
        mask: Array | None = None,
        changeable: Array | None = None,
    ) -> Array:
        """Return the changed examples; see `rnnprobe.protocols.Attack`.

        Raises:
            ValueError: The examples or the budget are not those of tokens.
            DataError: The model has no one embedding, and an example more replacements than
                `exhaustive`.
            ModelError: The model looks its tokens up more than once.
        """
        return _Search(self, model, x, y, budget, mask, changeable).fewest_edits()


@dataclass(frozen=True, eq=False)
class SingleEdits:
    """What one replaced token can do to each example.

    A hit is a replacement that makes a right prediction wrong (or with a target, reaches it); an
    example that is wrong as it is has none.

    Args:
        reachable: bool (num_examples, num_classes), the predictions after one replacement.
        position_hits: int64 (num_examples, num_steps), the number of hits at each step.
        token_hits: int64 (num_tokens,), the number of hits by the token put in.
        queries: int64 (num_examples,), how many replacements were tried.
        exact: bool (num_examples,), whether these were all there are.
    """

    reachable: Array
    position_hits: Array
    token_hits: Array
    queries: Array
    exact: Array

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            view = getattr(self, field.name).view()
            view.flags.writeable = False
            object.__setattr__(self, field.name, view)


@dataclass(frozen=True)
class Recall:
    """How often the gradient finds what trying everything finds.

    Args:
        found: The number of examples that a replacement on the shortlist flips.
        flippable: The number that any single replacement flips.
    """

    found: int
    flippable: int

    @property
    def share(self) -> float:
        """Their ratio, in [0, 1]; NaN where nothing can be flipped."""
        return self.found / self.flippable if self.flippable else float("nan")


def single_edits(
    model: Classifier,
    x: Array,
    y: Array,
    budget: Budget,
    *,
    mask: Array | None = None,
    changeable: Array | None = None,
    attack: HotFlip | None = None,
) -> SingleEdits:
    """Return what single replacements do: all of them, or of long examples the shortlist.

    Args:
        model: As for `HotFlip`, like the next five.
        x: int32 (num_examples, num_steps).
        y: int32 (num_examples,).
        budget: Of at least one edit; more make no difference.
        mask: bool (num_examples, num_steps), or None.
        changeable: bool (num_examples, num_steps), or None.
        attack: The settings `shortlist`, `exhaustive` and `targeted`; None: as they are by default.

    Raises:
        ValueError: As `HotFlip`, and where the budget allows no edit.
        ModelError: As `HotFlip`.
    """
    _require_one_edit(budget)
    return _Search(attack or HotFlip(), model, x, y, budget, mask, changeable).tabulate()


def shortlist_recall(
    model: Classifier,
    x: Array,
    y: Array,
    budget: Budget,
    *,
    mask: Array | None = None,
    changeable: Array | None = None,
    attack: HotFlip | None = None,
) -> Recall:
    """Return of how many examples that one replacement flips the shortlist alone finds one.

    Only examples count of which all replacements are tried.

    Args:
        model: As for `HotFlip`, like the next five.
        x: int32 (num_examples, num_steps).
        y: int32 (num_examples,).
        budget: Of at least one edit; more make no difference.
        mask: bool (num_examples, num_steps), or None.
        changeable: bool (num_examples, num_steps), or None.
        attack: The settings `shortlist`, `exhaustive` and `targeted`; None: as they are by default.

    Raises:
        ValueError: As `HotFlip`, where the budget allows no edit, and where the shortlist is
            empty or the model has no gradient to make one.
        ModelError: As `HotFlip`.
    """
    _require_one_edit(budget)
    return _Search(attack or HotFlip(), model, x, y, budget, mask, changeable).recall()


class _Search:
    """One attack on one batch.

    It remembers for each example the point that fools the model with the fewest edits, by most
    among those tried then, else that of the largest margin.
    """

    def __init__(
        self,
        attack: HotFlip,
        model: Classifier,
        x: Array,
        y: Array,
        budget: Budget,
        mask: Array | None,
        changeable: Array | None,
    ) -> None:
        self._region = TokenRegion.of(model, x, budget, mask, changeable)
        self._attack = attack
        self._embeddings = _embeddings(model, self._region.tokens) if attack.shortlist else None
        numbers = self._region.num_substitutions
        self._enumerable = numbers <= attack.exhaustive
        if self._embeddings is None and not self._enumerable.all():
            raise DataError(
                f"An example has {numbers.max()} single replacements, more than "
                f"exhaustive={attack.exhaustive}, and there is no gradient to choose among them; "
                "give a larger exhaustive."
            )
        self._questions = Questions(model, self._region, y, mask, targeted=attack.targeted)
        self._examples = x.copy()
        self._margins = self._questions.margins.copy()

    def fewest_edits(self) -> Array:
        """Return int32 like x, the examples changed."""
        if self._region.edits:
            for rows, points in self._blocks(~self._questions.fooled, self._region.edits):
                self._beam_search(rows, points)
        return self._examples

    def recall(self) -> Recall:
        """Return how many examples the shortlist flips, and how many can be flipped."""
        if self._embeddings is None:
            raise ValueError(
                "The recall of the shortlist needs shortlist >= 1 and a model with "
                f"embedding_matrix, but got shortlist={self._attack.shortlist}."
            )
        found = flippable = 0
        for rows, points in self._blocks(~self._questions.fooled & self._enumerable, 1):
            listed, rest = self._first_edit(rows, points)
            found += listed.num_flipped
            flippable += listed.num_flipped + rest.num_flipped
        return Recall(found, flippable)

    def tabulate(self) -> SingleEdits:
        """Return what single replacements do."""
        num_examples, num_steps = self._region.x.shape
        tokens, questions = self._region.tokens, self._questions
        reachable = np.zeros((num_examples, questions.num_classes), bool)
        position_hits = np.zeros((num_examples, num_steps), np.int64)
        token_hits = np.zeros(int(tokens[-1]) + 1, np.int64)
        queries = np.zeros(num_examples, np.int64)
        for rows, points in self._blocks(np.ones(num_examples, bool), 1):
            tried = self._all_or_promising(rows, points)
            judged = self._judged(rows, points, tried)
            reachable[judged.rows, judged.predicted] = True
            queries += np.bincount(judged.rows, minlength=num_examples)
            hits = judged.fooled & ~questions.fooled[judged.rows]
            steps, put_in = np.divmod(tried.substitutions[hits], len(tokens))
            np.add.at(position_hits, (judged.rows[hits], steps), 1)
            np.add.at(token_hits, tokens[put_in], 1)
        return SingleEdits(reachable, position_hits, token_hits, queries, self._enumerable)

    def _blocks(self, chosen: Array, edits: int) -> Iterator[tuple[Array, Array]]:
        """Yield indices of examples of one width, and the examples without their padding."""
        attack = self._attack
        per_parent = attack.exhaustive if self._embeddings is None else attack.shortlist
        most = per_parent * (attack.beam if edits > 1 else 1)
        for rows in self._questions.blocks(np.flatnonzero(chosen), attack.exhaustive, most):
            yield rows, self._region.x[rows, : self._questions.widths[rows[0]]]

    def _beam_search(self, rows: Array, points: Array) -> None:
        for edit in range(self._region.edits):
            if edit == 0:
                listed, rest = self._first_edit(rows, points)
                tried = listed.joined(rest)
            else:
                candidates = self._promising(rows, points)
                changed = self._region.replaced(points, candidates)
                tried = self._questions.judge(*_distinct(rows[candidates.parents], changed))
            best, beams = tried.ranked(self._attack.beam)
            self._remember(best)
            rows, points = beams.rows, beams.points
            if not len(rows):
                break

    def _first_edit(self, rows: Array, points: Array) -> tuple[Judged, Judged]:
        """Try the shortlist; then, of examples that withstand it, all others that may be tried."""
        listed = self._promising(rows, points)
        first = self._judged(rows, points, listed)
        resists = ~np.isin(rows, first.rows[first.fooled]) & self._enumerable[rows]
        rest = self._others(rows, points, listed, np.flatnonzero(resists))
        return first, self._judged(rows, points, rest)

    def _others(self, rows: Array, points: Array, listed: Candidates, parents: Array) -> Candidates:
        """Return all replacements at the points `parents` that are not listed."""
        possible = self._region.substitutions(rows[parents], points[parents])
        theirs = np.isin(listed.parents, parents)
        at = np.searchsorted(parents, listed.parents[theirs])
        possible[at, listed.substitutions[theirs]] = False
        found, substitutions = possible.nonzero()
        return Candidates(parents[found], substitutions)

    def _all_or_promising(self, rows: Array, points: Array) -> Candidates:
        """Return all replacements, of examples with too many the shortlist."""
        short = self._enumerable[rows]
        parts = []
        for chosen, propose in ((short, self._all), (~short, self._promising)):
            if chosen.any():
                found = propose(rows[chosen], points[chosen])
                parts.append((np.flatnonzero(chosen)[found.parents], found.substitutions))
        return Candidates(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def _promising(self, rows: Array, points: Array) -> Candidates:
        if self._embeddings is None:
            return self._all(rows, points)
        try:
            return self._questions.shortlist(rows, points, self._embeddings, self._attack.shortlist)
        except ModelError as exc:
            raise ModelError(f"{exc} {_WITHOUT}") from exc

    def _all(self, rows: Array, points: Array) -> Candidates:
        return Candidates(*self._region.substitutions(rows, points).nonzero())

    def _judged(self, rows: Array, points: Array, candidates: Candidates) -> Judged:
        changed = self._region.replaced(points, candidates)
        return self._questions.judge(rows[candidates.parents], changed)

    def _remember(self, best: Judged) -> None:
        better = best.fooled | (best.margins > self._margins[best.rows])
        rows = best.rows[better]
        self._examples[rows, : best.points.shape[1]] = best.points[better]
        self._margins[rows] = best.margins[better]


def _embeddings(model: Classifier, tokens: Array) -> Array | None:
    """Return what the model looks its tokens up in; None where it has no such method."""
    give = getattr(model, "embedding_matrix", None)
    if give is None or not hasattr(model, "loss_gradient"):
        return None
    try:
        matrix = np.asarray(give())
    except ModelError:
        return None
    if tokens[-1] >= len(matrix):
        raise ValueError(
            f"The model knows the tokens 0 to {len(matrix) - 1}, but bounds.upper={tokens[-1]}; "
            "give bounds of tokens that it knows."
        )
    return matrix


def _distinct(rows: Array, points: Array) -> tuple[Array, Array]:
    """Return the points without those that two parents of one example have in common."""
    unique = np.unique(np.column_stack([rows, points]), axis=0)
    return unique[:, 0], unique[:, 1:].astype(points.dtype)


def _require_one_edit(budget: Budget) -> None:
    if budget.epsilon < 1:
        raise ValueError(f"`epsilon >= 1` must hold, but got epsilon={budget.epsilon}.")
