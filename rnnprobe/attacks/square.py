"""Square attack, in a form for sequences: random search, no gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rnnprobe.attacks._attempt import Attempt
from rnnprobe.attacks._region import Region, column, distance, generators
from rnnprobe.losses import Margin, TargetedMargin
from rnnprobe.protocols import Classifier
from rnnprobe.records import Array, Budget

_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # of 10,000 queries
_STRIPES = 1_000_000  # keeps the generators' seeds apart from those of other attacks


@dataclass(frozen=True)
class Square:
    """Random search with windows of consecutive steps, that sees nothing but the logits.

    It starts from stripes that are constant in time; each query sets a window of steps, and in it
    a random part of the features, to plus or minus epsilon per feature, and keeps that where the
    margin shrinks. Unlike the authors' code for pictures a window may end at the last step, which
    matters most to many recurrent models. In l2, where the paper has a scheme of its own, the
    change is scaled to the length epsilon after each proposal.

    Args:
        queries: How often the model is asked about an example at most.
        share: What part of an example a window covers at first, in (0, 1]; it is halved on the
            paper's schedule, scaled to the number of queries.
        targeted: Whether `y` are the classes to reach.
        seed: Of the windows.

    References:
        Andriushchenko, Croce, Flammarion and Hein, Square attack: a query-efficient black-box
        adversarial attack via random search, ECCV 2020, https://arxiv.org/abs/1912.00049
    """

    queries: int = 1000
    share: float = 0.8
    targeted: bool = False
    seed: int = 0
    knowledge: ClassVar[str] = "black box"

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
        """Return the changed examples; see `rnnprobe.protocols.Attack`."""
        region = Region.of(model, x, budget, mask, changeable)
        loss = TargetedMargin(y) if self.targeted else Margin(y)
        attempt = Attempt(model, x, y, mask, targeted=self.targeted)
        attempt.look(attempt.left, x, loss)
        rows, draws = attempt.left, generators(_STRIPES + self.seed, x)
        if not len(rows):
            return attempt.examples
        near = region.take(rows)
        change = np.zeros_like(near.x)
        change += np.stack([_signs(draws[row], x.shape[2]) for row in rows])[:, np.newaxis]
        points = near.project(near.x + _scaled(change, near))
        best = attempt.look(rows, points, loss.take(rows))
        for query in range(1, self.queries):
            left = attempt.unfinished(rows)
            rows, change, best, near = rows[left], change[left], best[left], near.take(left)
            if not len(rows):
                break
            share = self.share / 2 ** sum(query * 10_000 > at * self.queries for at in _HALVINGS)
            proposal = change.copy()
            for index, row in enumerate(rows):
                _propose(proposal[index], near.allowed[index, :, 0], share, draws[row])
            points = near.project(near.x + _scaled(proposal, near))
            values = attempt.look(rows, points, loss.take(rows))
            better = values > best
            change[better], best = proposal[better], np.maximum(values, best)
        return attempt.examples


def _signs(draw: np.random.Generator, size: int) -> Array:
    return draw.integers(0, 2, size).astype(np.float32) * 2 - 1


def _propose(change: Array, allowed: Array, share: float, draw: np.random.Generator) -> None:
    """Draw a window of the allowed steps and set it, in place."""
    steps = np.flatnonzero(allowed)
    num_features = change.shape[1]
    # As a square's side: the part of the steps times the part of the features is the share.
    features = max(1, round(np.sqrt(share) * num_features))
    width = min(len(steps), max(1, round(share * len(steps) * num_features / features)))
    start = draw.integers(0, len(steps) - width + 1)
    chosen = draw.permutation(num_features)[:features]
    change[np.ix_(steps[start : start + width], chosen)] = _signs(draw, features)


def _scaled(change: Array, region: Region) -> Array:
    if region.norm == "linf":
        return region.epsilon * change
    change = np.where(region.allowed, change, 0)
    return region.epsilon * change / np.maximum(column(distance(change, "l2")), 1e-12)
