"""The protocol that reports A and B share."""

from functools import partial

from rnnprobe.experiments._record import Experiment, Measure, pivot
from rnnprobe.experiments._tensorflow_1 import JOINT_KERNEL, NORMAL_OUTPUT

KEY = "test_accuracy"
GIVEN = (
    "LSTM over the 28 rows, the last output to a linear layer, softmax cross-entropy, Adam.",
    "Batches of 100, 999 steps: 100,000 images shown.",
    "55,000 training images, tested on 10,000.",
    "Forget bias 1; weights and bias of the output layer from normal(0, 1).",
)

grid = partial(pivot, "units", "learning_rate", KEY)

lstm_experiment = partial(
    Experiment,
    dataset="mnist",
    splits=("first-5000",),
    settings={"cell": "lstm", "optimizer": "adam", "batch_size": 100, "steps": 999},
    initializers={**JOINT_KERNEL, **NORMAL_OUTPUT},
    rows=("units",),
    columns=("learning_rate",),
    measures=(Measure(KEY, "Test", digits=4),),
)
