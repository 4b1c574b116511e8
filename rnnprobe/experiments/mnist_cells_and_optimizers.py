"""Report C, second part: recurrent nets on the rows of MNIST."""

from rnnprobe.experiments._claims import Higher, Ordered
from rnnprobe.experiments._record import Experiment, Measure, listing
from rnnprobe.experiments._tensorflow_1 import NORMAL_OUTPUT

EXPERIMENT = Experiment(
    name="mnist-cells-and-optimizers",
    title="SimpleRNN, LSTM and GRU on the rows of MNIST: test accuracy by cell, optimizer, units",
    source="report C, part 2, coursework of 2017 to 2021",
    dataset="mnist",
    splits=("first-5000",),
    settings={"learning_rate": 1e-3, "batch_size": 100, "steps": 500},
    initializers=NORMAL_OUTPUT,
    cells=listing(
        "cell optimizer units",
        ("test_accuracy",),
        """
        rnn  rmsprop  128 .8898
        rnn  rmsprop  256 .8540
        rnn  rmsprop  512 .6321
        rnn  rmsprop 1024 .1028
        rnn  adam     128 .9135
        lstm rmsprop  128 .9505
        gru  rmsprop  128 .9572
        """,
    ),
    rows=("cell", "optimizer", "units"),
    columns=(),
    measures=(Measure("test_accuracy", "Test", digits=4),),
    claims=(
        Higher(
            "At 128 units the LSTM is better than the SimpleRNN",
            over={"cell": "lstm", "units": 128, "optimizer": "rmsprop"},
            under={"cell": "rnn", "units": 128, "optimizer": "rmsprop"},
        ),
        Higher(
            "At 128 units the GRU is better than the SimpleRNN",
            over={"cell": "gru", "units": 128, "optimizer": "rmsprop"},
            under={"cell": "rnn", "units": 128, "optimizer": "rmsprop"},
        ),
        Higher(
            "At 128 units the GRU is better than the LSTM",
            over={"cell": "gru", "units": 128, "optimizer": "rmsprop"},
            under={"cell": "lstm", "units": 128, "optimizer": "rmsprop"},
        ),
        Ordered(
            "With RMSProp a larger SimpleRNN is worse",
            along="units",
            rises=False,
            where={"cell": "rnn", "optimizer": "rmsprop"},
        ),
        Higher(
            "Adam is better than RMSProp for the SimpleRNN of 128 units",
            over={"cell": "rnn", "units": 128, "optimizer": "adam"},
            under={"cell": "rnn", "units": 128, "optimizer": "rmsprop"},
        ),
    ),
    given=(
        "Recurrent nets over the rows of MNIST, 50,000 images shown, learning rate 1e-3.",
        "A line every 1,000 images.",
    ),
    chosen=(
        "Batches of 100, 500 steps: a line every ten steps.",
        "LSTM and GRU are trained by RMSProp, like the SimpleRNN they are compared with.",
        "Weights and bias of the output layer from normal(0, 1), as in reports A and B.",
    ),
)
