"""Data sets by name; `rnnprobe.load_dataset` also takes paths and arrays.

Each module has `load() -> RawData`.
"""

DATASETS = {
    "mnist-5k": "rnnprobe.datasets.mnist_5k:load",
    "mnist": "rnnprobe.datasets.mnist:load",
    "fashion-mnist": "rnnprobe.datasets.fashion_mnist:load",
    "cifar10": "rnnprobe.datasets.cifar10:load",
    "names": "rnnprobe.datasets.names:load",
}

SUMMARIES = {
    "mnist-5k": ("5,000 handwritten digits, 28x28, embedded", "none"),
    "mnist": ("70,000 handwritten digits, 28x28", "once"),
    "fashion-mnist": ("70,000 pictures of clothes, 28x28", "once"),
    "cifar10": ("60,000 colour photographs, 32x32", "once"),
    "names": ("surnames of 18 languages, characters", "once"),
}

LAYOUTS = ("rows", "columns", "pixels", "permuted-pixels")

__all__ = ["DATASETS", "LAYOUTS", "SUMMARIES"]
