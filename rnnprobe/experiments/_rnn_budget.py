"""What report D does not say of its SimpleRNNs, and was found to explain its tables best."""

from functools import partial

from rnnprobe.experiments._record import Experiment, Measure, Settings, listing
from rnnprobe.experiments._tensorflow_1 import JOINT_KERNEL

SETTINGS: Settings = {"cell": "rnn", "optimizer": "adam", "epochs": 5, "checkpoints": 5}
GIVEN = (
    "SimpleRNN over the rows of MNIST, Adam.",
    "Training accuracy at five even points; the figures are multiples of 1/batch, so each is that "
    "of one minibatch.",
)
_TRAIN = tuple(f"minibatch_{point}" for point in range(1, 6))

rows_of = partial(listing, keys=(*_TRAIN, "test_accuracy"))

rnn_experiment = partial(
    Experiment,
    source="report D, coursework of 2017 to 2021",
    dataset="mnist",
    splits=("first-5000",),
    initializers=JOINT_KERNEL,
    columns=(),
    measures=(
        Measure("test_accuracy", "Test"),
        *(Measure(key, f"Train {n}", counted="batch") for n, key in enumerate(_TRAIN, 1)),
    ),
    chosen=(
        "5 epochs of 55,000 training images, a point after each.",
        "The kernels of inputs and states are drawn as one matrix by Glorot's rule, as TensorFlow "
        "1's SimpleRNN did, the output layer as Keras does.",
    ),
)
