"""What plugs into rnnprobe."""

from __future__ import annotations

from typing import Protocol

from rnnprobe.records import Array


class Classifier(Protocol):
    """Anything that gives one score per class for a batch of sequences."""

    num_classes: int

    def logits(self, x: Array, mask: Array | None = None) -> Array:
        """Return float32 (num_examples, num_classes), unnormalised log-probabilities.

        Args:
            x: float32 (num_examples, num_steps, num_features) or int32 (num_examples, num_steps).
            mask: bool (num_examples, num_steps), True at the steps that count; None: all.
        """
        ...
