"""A model of logits on one part of a data set: loss, accuracy, and which examples were right."""

from __future__ import annotations

from typing import NamedTuple

import keras
import numpy as np

from rnnprobe.classifier import KerasClassifier
from rnnprobe.models import build_loss
from rnnprobe.paired import unpacked
from rnnprobe.records import Array, Split


class Evaluation(NamedTuple):
    """A model on one part: mean loss, number right, number of examples, and which were right.

    `hits` holds one bit an example, as `numpy.packbits` packs them.
    """

    loss: float
    correct: int
    total: int
    hits: bytes

    @property
    def accuracy(self) -> float:
        """Share right, in [0, 1]."""
        return self.correct / self.total

    @property
    def right(self) -> Array:
        """Bool (total,), which examples were right."""
        return unpacked(self.hits, self.total)


def evaluate(model: keras.Model, split: Split, loss: str = "cross-entropy") -> Evaluation:
    """Measure a model of logits on one part of a data set."""
    return measure(KerasClassifier(model, output="logits"), split, loss)


def measure(classifier: KerasClassifier, split: Split, loss: str) -> Evaluation:
    """Measure a classifier that is compiled already.

    Raises:
        ModelError: Its outputs are not finite.
    """
    logits = classifier.logits(split.x, split.mask)
    mean_loss = float(keras.ops.convert_to_numpy(build_loss(loss)(split.y, logits)))
    right = logits.argmax(axis=1) == split.y
    return Evaluation(mean_loss, int(right.sum()), len(split), np.packbits(right).tobytes())
