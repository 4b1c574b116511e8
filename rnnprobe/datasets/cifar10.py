"""CIFAR-10: 50,000 and 10,000 colour photographs, 32x32."""

from __future__ import annotations

from rnnprobe.datasets._keras import load_keras
from rnnprobe.datasets._raw import RawData

ARCHIVE = "cifar-10-batches-py-target_archive"
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"


def load() -> RawData:
    """Load it from Keras's cache, or download it once.

    References:
        A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009).
        https://www.cs.toronto.edu/~kriz/cifar.html
    """
    return load_keras(
        "cifar10",
        (
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ),
        f"cifar-10-python.tar.gz (sha256 {SHA256}) as ~/.keras/datasets/{ARCHIVE}",
        {ARCHIVE: SHA256},
    )
