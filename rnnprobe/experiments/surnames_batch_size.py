"""Report E, second table: surnames by batch size."""

from rnnprobe.experiments._claims import Best, Higher
from rnnprobe.experiments._record import Experiment, Measure, listing
from rnnprobe.experiments._surnames import CHOSEN, GIVEN, SETTINGS, SPLITS

EXPERIMENT = Experiment(
    name="surnames-batch-size",
    title="LSTM on surnames of 18 languages: loss and accuracy by batch size",
    source="report E, coursework of 2017 to 2021",
    dataset="names",
    splits=SPLITS,
    settings={**SETTINGS, "layers": 1, "units": 200},
    cells=listing(
        "batch_size",
        (
            "best_loss",
            "best_accuracy",
            "best_val_loss",
            "best_val_accuracy",
            "test_loss",
            "test_accuracy",
        ),
        """
        10 .6667 .793 .7078 .778 .6713 .784
        20 .5423 .830 .6623 .795 .6139 .807
        30 .5186 .836 .6098 .811 .5936 .820
        40 .4871 .844 .6349 .800 .5729 .810
        """,
    ),
    rows=("batch_size",),
    columns=(),
    measures=(
        Measure("test_accuracy", "test acc."),
        Measure("best_loss", "train loss", 0.06, counted=None, digits=4),
        Measure("best_accuracy", "train acc.", counted="train"),
        Measure("best_val_loss", "val. loss", 0.06, counted=None, digits=4),
        Measure("best_val_accuracy", "val. acc.", counted="validation"),
        Measure("test_loss", "test loss", 0.06, counted=None, digits=4),
    ),
    claims=(
        Best(
            "Batches of 30 are best in test",
            is_at={"batch_size": 30},
            read_off=True,
        ),
        Best(
            "Batches of 30 are best in validation",
            is_at={"batch_size": 30},
            metric="best_val_accuracy",
            read_off=True,
        ),
        Higher(
            "Batches of 10 are worse than larger ones",
            over={"batch_size": (20, 30, 40)},
            under={"batch_size": 10},
            read_off=True,
        ),
        Higher(
            "The larger the batch, the better the training names are learnt: 40 before 10",
            over={"batch_size": 40},
            under={"batch_size": 10},
            metric="best_accuracy",
            read_off=True,
        ),
    ),
    given=(*GIVEN, "One layer of 200 units; of each curve the best value."),
    chosen=(*CHOSEN, "Loss and accuracy in test are those at the end."),
)
