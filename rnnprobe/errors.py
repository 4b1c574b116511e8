"""The exceptions of rnnprobe.

RnnprobeError          anything rnnprobe raises on purpose
├── DataError          a data set that cannot be read or does not fit
├── OutputError        an output that cannot or must not be written
├── UnknownNameError   a name that no table knows
├── ModelError         a model that cannot be read or used
└── TrainingError      no training run, or no trial, finished

Wrong arguments of a Python call raise `ValueError` or `TypeError`.
"""

from __future__ import annotations


class RnnprobeError(Exception):
    """Base class; `exit_status` is what the command line ends with.

    Example:
        >>> import rnnprobe
        >>> try:
        ...     rnnprobe.load_dataset("no-such-data")
        ... except rnnprobe.RnnprobeError as error:
        ...     print(type(error).__name__, error.exit_status)
        UnknownNameError 2
    """

    exit_status = 2


class DataError(RnnprobeError):
    """A data set cannot be read, is inconsistent, or does not fit the model."""


class OutputError(RnnprobeError):
    """An output cannot be written, or would replace a file that rnnprobe did not write."""


class UnknownNameError(RnnprobeError, ValueError):
    """A name is in no table; the message lists the valid ones and the nearest."""


class ModelError(RnnprobeError):
    """A model cannot be read or is not a classifier that rnnprobe can use."""

    exit_status = 1


class TrainingError(RnnprobeError):
    """The work failed: no trial finished, or the loss stopped being a number."""

    exit_status = 1
