"""Grey photographs of MNIST's size, made from CIFAR-10."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnprobe.datasets import cifar10
from rnnprobe.datasets._raw import RawData, RawSplit
from rnnprobe.records import Array

_PER_CLASS = {"train": 1000, "test": 100}
_SIZE = (28, 28)


def load() -> RawData:
    """Make it from the CIFAR-10 of Keras's cache, which is downloaded once.

    The first 1,000 training and the first 100 test pictures of each class, in the order they have
    there, uint8 (num_examples, 28, 28). The grey is Pillow's "L", the luma of ITU-R BT.601,
    (299 R + 587 G + 114 B) / 1000. It is then resized by Pillow's bilinear filter, which on the
    way down averages over all pixels that a new one covers. There is no validation part.

    References:
        A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009).
        https://www.cs.toronto.edu/~kriz/cifar.html
    """
    colour = cifar10.load()
    parts = {part: _grey_part(split, _PER_CLASS[part]) for part, split in colour.parts.items()}
    note = (
        "made from CIFAR-10: the first 1,000 training and 100 test pictures of each class, grey "
        "(ITU-R BT.601), then 32x32 to 28x28 by Pillow's bilinear filter"
    )
    return replace(
        colour, name="cifar10-grey", parts=parts, validation_head=None, notes=(*colour.notes, note)
    )


def _grey_part(split: RawSplit, per_class: int) -> RawSplit:
    by_class = [np.flatnonzero(split.y == label)[:per_class] for label in np.unique(split.y)]
    chosen = np.sort(np.concatenate(by_class))
    return RawSplit(np.stack([_grey(picture) for picture in split.x[chosen]]), split.y[chosen])


def _grey(picture: Array) -> Array:
    """Return uint8 (28, 28) of a colour picture, uint8 (32, 32, 3)."""
    from PIL import Image

    image = Image.fromarray(picture).convert("L")
    return np.asarray(image.resize(_SIZE, Image.Resampling.BILINEAR))
