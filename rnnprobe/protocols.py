"""What plugs into rnnprobe."""

from __future__ import annotations

from typing import Protocol

from rnnprobe.losses import Loss
from rnnprobe.records import Array, Budget


class Classifier(Protocol):
    """Anything that gives one score per class for a batch of sequences.

    `KerasClassifier` is one around a Keras model. One of your own, of any framework, can be
    attacked as well.

    Example:
        >>> import numpy as np
        >>> class ByMean:
        ...     num_classes = 2
        ...
        ...     def logits(self, x, mask=None):
        ...         mean = x.mean(axis=(1, 2))
        ...         return np.stack([mean, -mean], axis=1)
        ...
        ...     def loss_gradient(self, x, loss, mask=None):
        ...         logits = self.logits(x)
        ...         slopes = loss.logit_gradient(np, logits, *loss.arrays) @ [1, -1] / x[0].size
        ...         return logits, np.ones_like(x) * slopes[:, np.newaxis, np.newaxis]
        >>> ByMean().logits(np.ones((1, 2, 3)))
        array([[ 1., -1.]])
    """

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        ...

    def logits(self, x: Array, mask: Array | None = None) -> Array:
        """Return float32 (num_examples, num_classes), unnormalised log-probabilities.

        Args:
            x: float32 (num_examples, num_steps, num_features) or int32 (num_examples, num_steps).
            mask: bool (num_examples, num_steps), True at the steps that count; None: all.
        """
        ...

    def loss_gradient(self, x: Array, loss: Loss, mask: Array | None = None) -> tuple[Array, Array]:
        """Return the logits, and how each example's loss changes with its own values.

        Args:
            x: As for `logits`.
            loss: A record of `rnnprobe.losses`.
            mask: As for `logits`.

        Returns:
            float32 (num_examples, num_classes), and float32 like `x`; of tokens (num_examples,
            num_steps, embedding_size), at the embedding.
        """
        ...


class StepCounter(Protocol):
    """A capability of some classifiers: they know which steps the model leaves out."""

    def counted_steps(self, x: Array, mask: Array | None = None) -> Array:
        """Return bool (num_examples, num_steps), True at the steps that count for the model."""
        ...


class StateReader(Protocol):
    """A capability of recurrent classifiers: what they would answer after every step."""

    def read_states(
        self, x: Array, mask: Array | None = None, *, logits: Array | None = None
    ) -> tuple[Array, Array]:
        """Return the logits at every state, and which states count.

        Args:
            x: float32 (num_examples, num_steps, num_features) or int32 (num_examples, num_steps).
            mask: bool (num_examples, num_steps), True at the steps that count; None: all.
            logits: float32 (num_examples, num_classes), at the end, where they are known.

        Returns:
            float32 (num_examples, num_states, num_classes), and bool (num_examples, num_states).
        """
        ...


class Attack(Protocol):
    """Anything that changes examples so that a classifier errs.

    One that is a dataclass has its fields printed as its settings. A field `targeted` that is True
    means that `y` are the classes to reach in place of those to leave.

    Example:
        >>> import numpy as np
        >>> def brighter(model, x, y, budget, *, mask=None, changeable=None):
        ...     return np.minimum(x + budget.epsilon, budget.bounds.upper)
        >>> data = rnnprobe.load_dataset("mnist-5k")                           # doctest: +SKIP
        >>> budget = rnnprobe.Budget(0.1, "linf", rnnprobe.Bounds(0, 1))       # doctest: +SKIP
        >>> rnnprobe.run_attack(brighter, classifier, data.test, budget)       # doctest: +SKIP
    """

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
        """Return the changed examples, like `x`, which itself stays as it is.

        Args:
            model: What to fool.
            x: float32 (num_examples, num_steps, num_features) or int32 (num_examples, num_steps).
            y: int32 (num_examples,), the true classes.
            budget: How much may change.
            mask: bool (num_examples, num_steps), True at the steps that count; the model gets it.
            changeable: bool (num_examples, num_steps), True at the steps that may change; None:
                all that count.
        """
        ...
