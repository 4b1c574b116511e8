"""How often a classifier is right, what it errs in, and whether it stays right under attack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from rnnprobe.attacks.apgd import APGD
from rnnprobe.attacks.pgd import PGD
from rnnprobe.attacks.square import Square
from rnnprobe.confusions.pairs import ConfusedPair
from rnnprobe.hardening.mistakes import along
from rnnprobe.protocols import Attack, Classifier
from rnnprobe.records import Array, Budget, Split

ATTACKED = ("stale", "fresh", "adaptive")
ERRORS = ("mined", "other")


@dataclass(frozen=True)
class Attacks:
    """What every row is attacked with.

    Args:
        stale: Runs against the model before; it keeps the point of largest loss, which fools other
            models more often than the first that fools this one.
        fresh: Runs against the row itself, by its true gradient.
        gradient: Of the adaptive attack, by the best gradient there is.
        search: Of the adaptive attack, without a gradient.
    """

    stale: PGD
    fresh: PGD
    gradient: APGD
    search: Square

    @classmethod
    def seeded(cls, seed: int) -> Attacks:
        """Return the attacks with one seed."""
        return cls(
            PGD(steps=40, stop_early=False, seed=seed),
            PGD(steps=40, seed=seed),
            APGD(steps=100, seed=seed),
            Square(queries=200, seed=seed),
        )


@dataclass(frozen=True, eq=False)
class Measured:
    """One row of the experiment, on the same examples as all others.

    Args:
        name: What was measured.
        predicted: int64 (num_examples,), the classes of the examples as they are.
        clean: bool (num_examples,), right as they are.
        mined: bool (num_examples,), wrong as they are along one of the mined pairs; None where
            there are none, like the next.
        other: bool (num_examples,), wrong as they are in any other way.
        stale: bool (num_examples,), right also as the examples made against the model before;
            None where nothing was attacked, like the next two.
        fresh: bool (num_examples,), right also under the attack on the row itself.
        adaptive: bool (num_examples,), right under each of stale, fresh and the further attacks.
        broken_by: Of the examples that are right, how many each attack was the first to break.
        own: The share right also under the attack that the arm was trained on, in [0, 1]; None
            where there is none.
    """

    name: str
    predicted: Array
    clean: Array
    mined: Array | None = None
    other: Array | None = None
    stale: Array | None = None
    fresh: Array | None = None
    adaptive: Array | None = None
    broken_by: Mapping[str, int] = field(default_factory=dict)
    own: float | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """What was measured: `clean`, and those of `ERRORS` and `ATTACKED` that are not None."""
        more = (name for name in (*ERRORS, *ATTACKED) if getattr(self, name) is not None)
        return ("clean", *more)

    def hits(self, column: str) -> Array:
        """Return bool (num_examples,), one of `columns`."""
        return np.asarray(getattr(self, column), bool)

    def share(self, column: str) -> float:
        """Return the share of examples that are True in one of `columns`, in [0, 1]."""
        return float(self.hits(column).mean())


def correct(model: Classifier, x: Array, split: Split) -> Array:
    """Return bool (num_examples,): right at `x`, which stands for the examples of `split`."""
    return np.asarray(model.logits(x, split.mask).argmax(axis=1) == split.y)


def resists(
    attack: Attack,
    model: Classifier,
    split: Split,
    budget: Budget,
    *,
    among: Array,
    gradient_from: Classifier | None = None,
) -> Array:
    """Return bool (num_examples,): which of some examples stay right under an attack.

    Args:
        attack: What changes them.
        model: What is attacked, and judges what came out.
        split: The examples.
        budget: How much may change.
        among: bool (num_examples,), those that are attacked; the others are False.
        gradient_from: What the attack asks; None: `model`.
    """
    rows = np.flatnonzero(among)
    left = np.zeros(len(split), bool)
    if len(rows):
        part = split.take(rows)
        x = attack(gradient_from or model, part.x, part.y, budget, mask=part.mask)
        left[rows] = correct(model, x, part)
    return left


class Judge:
    """Measures any number of classifiers alike.

    Args:
        before: The model before; its stale examples are made here.
        split: The examples.
        budget: How much the attacks may change; None attacks nothing.
        attacks: With what.
        pairs: The mined pairs; none tells no errors apart.
    """

    def __init__(
        self,
        before: Classifier,
        split: Split,
        budget: Budget | None,
        attacks: Attacks,
        pairs: tuple[ConfusedPair, ...] = (),
    ) -> None:
        self._split, self._budget, self._attacks, self._pairs = split, budget, attacks, pairs
        if budget is not None:
            self._stale = attacks.stale(before, split.x, split.y, budget, mask=split.mask)

    def measure(
        self,
        name: str,
        model: Classifier,
        *,
        gradient_from: Classifier | None = None,
        own: Attack | None = None,
    ) -> Measured:
        """Measure one classifier; an example counts as robust only where it is right as it is.

        Args:
            name: The row's.
            model: The classifier, with its true gradient.
            gradient_from: The same with a better gradient for the adaptive attack; None: `model`.
            own: The attack that it was trained on.
        """
        y = self._split.y
        predicted = model.logits(self._split.x, self._split.mask).argmax(axis=1)
        plain = Measured(name, predicted, predicted == y)
        if self._pairs:
            mined = along(self._pairs, y, predicted)
            plain = replace(plain, mined=mined, other=~plain.clean & ~mined)
        if self._budget is None:
            return plain
        return self._attacked(plain, model, self._budget, gradient_from, own)

    def _attacked(
        self,
        plain: Measured,
        model: Classifier,
        budget: Budget,
        gradient_from: Classifier | None,
        own: Attack | None,
    ) -> Measured:
        split, attacks, clean = self._split, self._attacks, plain.clean
        stale = clean & correct(model, self._stale, split)
        fresh = resists(attacks.fresh, model, split, budget, among=clean)
        left = {"stale": stale, "fresh": stale & fresh}
        for key, attack, guide in (
            ("apgd", attacks.gradient, gradient_from),
            ("square", attacks.search, None),
        ):
            among = list(left.values())[-1]
            left[key] = resists(attack, model, split, budget, among=among, gradient_from=guide)
        counts = [int(one.sum()) for one in (clean, *left.values())]
        broken = dict(zip(left, (-np.diff(counts)).tolist(), strict=True))
        share = None
        if own is not None:
            share = float(resists(own, model, split, budget, among=clean).mean())
        return replace(
            plain, stale=stale, fresh=fresh, adaptive=left["square"], broken_by=broken, own=share
        )
