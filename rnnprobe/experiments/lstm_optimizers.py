"""Report D, LSTM: two optimizers and two sizes."""

from rnnprobe.experiments._claims import Best, Bounded, Higher
from rnnprobe.experiments._record import Cell, Experiment, Measure, listing

_TRAIN = tuple(f"train_{epoch}" for epoch in range(1, 6))

EXPERIMENT = Experiment(
    name="lstm-optimizers",
    title="LSTM on the rows of MNIST: training accuracy by epoch and test accuracy by optimizer",
    source="report D, coursework of 2017 to 2021",
    dataset="mnist",
    splits=("first-5000",),
    settings={"batch_size": 128, "learning_rate": 1e-3, "epochs": 5, "checkpoints": 5},
    cells=(
        *listing(
            "cell optimizer units",
            (*_TRAIN, "test_accuracy"),
            """
            lstm rmsprop 100 .7789 .9338 .9595 .9699 .9761 .9745
            lstm rmsprop 200 .8060 .9477 .9679 .9775 .9826 .9783
            lstm adam    100 .7887 .9390 .9593 .9680 .9747 .9723
            lstm adam    200 .8241 .9518 .9666 .9755 .9821 .9787
            """,
        ),
        Cell({"cell": "rnn", "optimizer": "adam", "units": 100}),
        Cell({"cell": "rnn", "optimizer": "adam", "units": 200}),
    ),
    rows=("cell", "optimizer", "units"),
    columns=(),
    measures=(
        Measure("test_accuracy", "Test", tolerance=0.01, digits=4),
        *(
            Measure(key, f"Train {epoch}", counted="train", digits=4)
            for epoch, key in enumerate(_TRAIN, 1)
        ),
    ),
    claims=(
        Higher(
            "LSTM in place of SimpleRNN gives about 5 points with no other change: 3 or more",
            over={"cell": "lstm", "optimizer": "adam"},
            under={"cell": "rnn", "optimizer": "adam"},
            by=0.03,
        ),
        Higher(
            "LSTM in place of SimpleRNN gives anything at all",
            over={"cell": "lstm", "optimizer": "adam"},
            under={"cell": "rnn", "optimizer": "adam"},
            read_off=True,
        ),
        Bounded(
            "The LSTM reaches .97 with either optimizer",
            where={"cell": "lstm"},
            lower=0.97,
            read_off=True,
        ),
        Best(
            "The best LSTM is that of Adam with 200 units",
            is_at={"optimizer": "adam", "units": 200},
            among={"cell": "lstm"},
            read_off=True,
        ),
        Higher(
            "200 units are better than 100",
            over={"cell": "lstm", "units": 200},
            under={"cell": "lstm", "units": 100},
            read_off=True,
        ),
    ),
    given=(
        "LSTM over the rows of MNIST, batches of 128, 5 epochs.",
        "Training accuracy over each epoch, and test accuracy at the end.",
    ),
    chosen=(
        "Keras's own rates, 1e-3 for both optimizers.",
        "55,000 training images; the report may have had all 60,000.",
        "All weights as Keras draws them.",
        "SimpleRNNs of the same sizes are trained beside, with nothing else changed, because a "
        "conclusion is about them; the report has no row of them with these settings.",
    ),
)
