"""MNIST: 60,000 and 10,000 handwritten digits, 28x28."""

from __future__ import annotations

from rnnprobe.datasets._keras import load_keras
from rnnprobe.datasets._raw import RawData

SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"


def load() -> RawData:
    """Load it from Keras's cache, or download it once.

    References:
        Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits".
        http://yann.lecun.com/exdb/mnist/
    """
    return load_keras(
        "mnist",
        tuple(str(digit) for digit in range(10)),
        f"mnist.npz (sha256 {SHA256}) into ~/.keras/datasets",
        {"mnist.npz": SHA256},
    )
