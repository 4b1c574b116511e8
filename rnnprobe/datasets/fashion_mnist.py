"""Fashion-MNIST: 60,000 and 10,000 pictures of clothes, 28x28."""

from __future__ import annotations

from rnnprobe.datasets._keras import load_keras
from rnnprobe.datasets._raw import RawData


def load() -> RawData:
    """Load it from Keras's cache, or download it once.

    References:
        H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking
        Machine Learning Algorithms" (2017). https://arxiv.org/abs/1708.07747
    """
    return load_keras(
        "fashion-mnist",
        (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
        "t10k-labels-idx1-ubyte.gz into ~/.keras/datasets/fashion-mnist",
    )
