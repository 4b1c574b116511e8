"""Report C, first part: a small CNN on grey photographs, by optimizer and learning rate."""

from rnnprobe.experiments._claims import Best, Bounded, Higher
from rnnprobe.experiments._record import Experiment, Measure, listing

_ACTIVATIONS = tuple(
    Measure(f"convolution_{layer}_{what}", f"activation {layer} {what}", 0.25, True, None, None)
    for layer in (1, 2)
    for what in ("mean", "variance")
)
_TRUNCATED_NORMAL = {
    "class_name": "TruncatedNormal",
    "config": {"mean": 0.0, "stddev": 0.1},
}
_TENTH = {"class_name": "Constant", "config": {"value": 0.1}}

EXPERIMENT = Experiment(
    name="cnn-optimizers",
    title="A small CNN on grey CIFAR-10: test accuracy and activations by optimizer and rate",
    source="report C, part 1, coursework of 2017 to 2021",
    dataset="cifar10-grey",
    settings={"cell": "cnn-relu", "batch_size": 50},
    initializers={
        "kernel_initializer": _TRUNCATED_NORMAL,
        "bias_initializer": _TENTH,
        "output_kernel_initializer": _TRUNCATED_NORMAL,
        "output_bias_initializer": _TENTH,
    },
    cells=listing(
        "optimizer momentum learning_rate steps",
        ("test_accuracy", *(measure.key for measure in _ACTIVATIONS)),
        """
        adam     -  1e-3  300 .384 .0562 .00548 .00189 .000331
        adam     -  1e-4  300 .303 .1335 .0153  .0977  .0240
        adam     -  1e-2  300 .100 .3652 .2117  6.2687 69.472
        adagrad  -  1e-3  300 .264 .1139 .0209  .0796  .0198
        adagrad  -  1e-4  300 .136 .1802 .0335  .2509  .1675
        adagrad  -  1e-2  300 .324 .0382 .00366 .00494 .000559
        momentum .5 1e-2  300 .295 .0381 .00766 .00358 .000509
        adam     -  1e-3 5000 .417 .0336 .00541 .00481 .00161
        """,
    ),
    rows=("optimizer", "momentum", "learning_rate", "steps"),
    columns=(),
    measures=(Measure("test_accuracy", "Test"), *_ACTIVATIONS),
    claims=(
        Best(
            "Of 300 steps, Adam at 1e-3 is best",
            is_at={"optimizer": "adam", "learning_rate": 1e-3},
            among={"steps": 300},
            read_off=True,
        ),
        Bounded(
            "Adam at 1e-2 learns nothing: at most .12",
            where={"optimizer": "adam", "learning_rate": 1e-2},
            upper=0.12,
            read_off=True,
        ),
        Higher(
            "Adam at 1e-2 drives the activations of the second layer up, those of 1e-3 stay small",
            over={"optimizer": "adam", "learning_rate": 1e-2},
            under={"optimizer": "adam", "learning_rate": 1e-3, "steps": 300},
            metric="convolution_2_mean",
            read_off=True,
        ),
        Higher(
            "Adagrad wants a larger rate than Adam: 1e-2 is better than 1e-3",
            over={"optimizer": "adagrad", "learning_rate": 1e-2},
            under={"optimizer": "adagrad", "learning_rate": 1e-3},
            read_off=True,
        ),
        Higher(
            "5000 steps are better than 300",
            over={"optimizer": "adam", "learning_rate": 1e-3, "steps": 5000},
            under={"optimizer": "adam", "learning_rate": 1e-3, "steps": 300},
            read_off=True,
        ),
    ),
    given=(
        "A LeNet-5-like CNN of two convolution layers on 28x28 grey pictures of CIFAR-10.",
        "Batches of 50, 300 steps, in one row 5000.",
        "Mean and variance of the activations of both convolution layers after training.",
    ),
    chosen=(
        "Convolutions of 32 and 64 filters 5x5 with ReLU (an activation of 6.3 is no tanh) and max "
        "pooling, 1024 units, no dropout: the network of TensorFlow 1's tutorial.",
        "Weights from a truncated normal of deviation 0.1, biases 0.1, as in that tutorial: the "
        "activations of its slowest row, which hardly leave their start, are near these.",
        "Activations are of the ReLU before pooling, over the test part.",
        "A tenth of the training pictures is the validation part, 9,000 are trained on.",
        "Of CIFAR-10 the first 1,000 training and 100 test pictures of each class, turned grey and "
        "resized here: close to the report's pictures, and not the same.",
    ),
)
