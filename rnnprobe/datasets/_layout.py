"""Pictures as sequences, and back."""

from __future__ import annotations

import numpy as np

from rnnprobe.records import Array

PERMUTATION_SEED = 0


def lay_out(pictures: Array, layout: str) -> Array:
    """Return pictures (n, height, width, channels) as sequences (n, num_steps, num_features).

    Args:
        pictures: The pictures.
        layout: `rows` and `columns` give one step a line of the picture; `pixels` one step a
            pixel; `permuted-pixels` the same in one fixed random order.

    References:
        Q. V. Le, N. Jaitly, G. E. Hinton, "A Simple Way to Initialize Recurrent Networks of
        Rectified Linear Units" (2015), for both pixel orders. https://arxiv.org/abs/1504.00941
    """
    n, height, width, channels = pictures.shape
    if layout == "rows":
        return pictures.reshape(n, height, width * channels)
    if layout == "columns":
        return pictures.transpose(0, 2, 1, 3).reshape(n, width, height * channels)
    pixels = pictures.reshape(n, height * width, channels)
    return pixels if layout == "pixels" else pixels[:, _permutation(height * width)]


def to_picture(x: Array, image_shape: tuple[int, int, int], layout: str) -> Array:
    """Return one sequence (num_steps, num_features) as the picture that it was made from."""
    height, width, channels = image_shape
    if layout == "columns":
        return x.reshape(width, height, channels).transpose(1, 0, 2)
    if layout == "permuted-pixels":
        pixels = np.empty_like(x)
        pixels[_permutation(height * width)] = x
        x = pixels
    return x.reshape(image_shape)


def _permutation(num_pixels: int) -> Array:
    return np.random.default_rng(PERMUTATION_SEED).permutation(num_pixels)
