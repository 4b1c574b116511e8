"""The shapes of the data that experiments use."""

from __future__ import annotations

from dataclasses import dataclass

from rnnprobe.records import SequenceDataset


@dataclass(frozen=True)
class Shape:
    """What of a data set decides how long a run takes.

    Args:
        num_steps: Of the longest example.
        num_features: At a step; 0 for tokens.
        num_classes: How many there are.
        num_train: Training examples.
        num_validation: Validation examples.
        num_test: Test examples.
        num_tokens: That an embedding needs; 0 for values.
    """

    num_steps: int
    num_features: int
    num_classes: int
    num_train: int
    num_validation: int
    num_test: int
    num_tokens: int = 0

    @classmethod
    def of(cls, dataset: SequenceDataset) -> Shape:
        """Return the shape of a data set that is loaded."""
        num_steps, *features = dataset.test.x.shape[1:]
        return cls(
            num_steps,
            features[0] if features else 0,
            dataset.num_classes,
            len(dataset.train),
            len(dataset.validation),
            len(dataset.test),
            dataset.num_tokens,
        )


SHAPES = {
    "mnist-5k": Shape(28, 28, 10, 4_000, 500, 500),
    "mnist": Shape(28, 28, 10, 55_000, 5_000, 10_000),
    "cifar10-grey": Shape(28, 28, 10, 9_000, 1_000, 1_000),
    "names": Shape(20, 0, 18, 16_040, 2_005, 2_005, 82),
}
"""Of the data sets that experiments use, before they are loaded."""
