"""What report D does not say of its SimpleRNNs, and was found to explain its tables best."""

from rnnprobe.experiments._record import Measure, Settings
from rnnprobe.experiments._tensorflow_1 import JOINT_KERNEL

SPLITS = ("first-5000",)
SETTINGS: Settings = {"cell": "rnn", "optimizer": "adam", "epochs": 5, "checkpoints": 5}
INITIALIZERS = JOINT_KERNEL
MEASURES = (
    Measure("test_accuracy", "Test"),
    *(Measure(f"minibatch_{point}", f"Train {point}", counted="batch") for point in range(1, 6)),
)
KEYS = (*(f"minibatch_{point}" for point in range(1, 6)), "test_accuracy")
GIVEN = (
    "SimpleRNN over the rows of MNIST, Adam.",
    "Training accuracy at five even points; the figures are multiples of 1/batch, so each is that "
    "of one minibatch.",
)
CHOSEN = (
    "5 epochs of 55,000 training images, a point after each.",
    "The kernels of inputs and states are drawn as one matrix by Glorot's rule, as TensorFlow 1's "
    "SimpleRNN did, the output layer as Keras does.",
)
