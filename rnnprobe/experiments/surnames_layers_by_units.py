"""Report E, first table: surnames by layers and units of an LSTM."""

from rnnprobe.experiments._claims import Best, Higher
from rnnprobe.experiments._record import Experiment, Measure, listing
from rnnprobe.experiments._surnames import CHOSEN, GIVEN, SETTINGS, SPLITS

EXPERIMENT = Experiment(
    name="surnames-layers-by-units",
    title="LSTM on surnames of 18 languages: accuracy by layers and units",
    source="report E, coursework of 2017 to 2021",
    dataset="names",
    splits=SPLITS,
    settings={**SETTINGS, "batch_size": 32},
    cells=listing(
        "layers units",
        ("best_val_accuracy", "test_accuracy"),
        """
        1 200 .821 .814
        1 250 .802 .805
        1 300 .795 .785
        2 200 .796 .797
        2 250 .802 .813
        2 300 .794 .804
        """,
    ),
    rows=("layers", "units"),
    columns=(),
    measures=(
        Measure("test_accuracy", "test"),
        Measure("best_val_accuracy", "validation", counted="validation"),
    ),
    claims=(
        Best(
            "One layer of 200 units is best in test",
            is_at={"layers": 1, "units": 200},
            read_off=True,
        ),
        Best(
            "One layer of 200 units is best in validation",
            is_at={"layers": 1, "units": 200},
            metric="best_val_accuracy",
            read_off=True,
        ),
        Higher(
            "With one layer more units are worse: 200 before 300",
            over={"layers": 1, "units": 200},
            under={"layers": 1, "units": 300},
            read_off=True,
        ),
        Higher(
            "With two layers more units are better: 300 before 200",
            over={"layers": 2, "units": 300},
            under={"layers": 2, "units": 200},
            read_off=True,
        ),
    ),
    given=(*GIVEN, "Batches of 32."),
    chosen=(
        *CHOSEN,
        "Validation is the best epoch's, as in the report's other table; test is at the end.",
    ),
)
