"""Data sets by name; `rnnprobe.load_dataset` also takes paths and arrays.

Each module has `load() -> RawData`.
"""

DATASETS = {
    "mnist-5k": "rnnprobe.datasets.mnist_5k:load",
    "mnist": "rnnprobe.datasets.mnist:load",
    "fashion-mnist": "rnnprobe.datasets.fashion_mnist:load",
    "cifar10": "rnnprobe.datasets.cifar10:load",
    "cifar10-grey": "rnnprobe.datasets.cifar10_grey:load",
    "names": "rnnprobe.datasets.names:load",
}

SUMMARIES = {
    "mnist-5k": ("5,000 handwritten digits, 28x28, embedded", "none"),
    "mnist": ("70,000 handwritten digits, 28x28", "once"),
    "fashion-mnist": ("70,000 pictures of clothes, 28x28", "once"),
    "cifar10": ("60,000 colour photographs, 32x32", "once"),
    "cifar10-grey": (
        "10,000 and 1,000 grey photographs, 28x28, made from CIFAR-10",
        "once",
    ),
    "names": ("surnames of 18 languages, characters", "once"),
}

LAYOUTS = ("rows", "columns", "pixels", "permuted-pixels")

SPLITS = ("first-5000", "lines")

__all__ = ["DATASETS", "LAYOUTS", "SPLITS", "SUMMARIES"]
