"""The protocol that reports A and B share."""

from rnnprobe.experiments._record import Measure, Settings
from rnnprobe.experiments._tensorflow_1 import JOINT_KERNEL, NORMAL_OUTPUT

SPLITS = ("first-5000",)
SETTINGS: Settings = {"cell": "lstm", "optimizer": "adam", "batch_size": 100, "steps": 999}
INITIALIZERS = {**JOINT_KERNEL, **NORMAL_OUTPUT}
MEASURES = (Measure("test_accuracy", "Test", digits=4),)
GIVEN = (
    "LSTM over the 28 rows, the last output to a linear layer, softmax cross-entropy, Adam.",
    "Batches of 100, 999 steps: 100,000 images shown.",
    "55,000 training images, tested on 10,000.",
    "Forget bias 1; weights and bias of the output layer from normal(0, 1).",
)
