"""Report D, second table: SimpleRNN by units and learning rate."""

from rnnprobe.experiments._claims import Bounded, Higher, NoBetter, Ordered
from rnnprobe.experiments._rnn_budget import GIVEN, SETTINGS, rnn_experiment, rows_of

EXPERIMENT = rnn_experiment(
    name="rnn-units-by-learning-rate",
    title="SimpleRNN on the rows of MNIST, batches of 256: accuracy by units and learning rate",
    settings={**SETTINGS, "batch_size": 256},
    cells=rows_of(
        "units learning_rate",
        text="""
        128 1e-4 .754 .867 .902 .891 .910 .914
        128 1e-3 .902 .957 .949 .965 .961 .952
        128 1e-2 .844 .875 .898 .809 .371 .408
        128 1e-1 .078 .109 .094 .102 .148 .103
         32 1e-4 .273 .422 .512 .523 .547 .543
         32 1e-3 .641 .738 .762 .797 .785 .809
         32 1e-2 .727 .875 .887 .875 .906 .893
         32 1e-1 .379 .121 .086 .070 .105 .091
         64 1e-4 .477 .586 .723 .730 .793 .801
         64 1e-3 .777 .848 .910 .926 .957 .915
         64 1e-2 .898 .891 .930 .883 .855 .830
         64 1e-1 .121 .121 .113 .133 .109 .096
        256 1e-4 .883 .863 .938 .953 .926 .950
        256 1e-3 .922 .953 .969 .965 .973 .970
        256 1e-2 .617 .629 .656 .621 .645 .606
        256 1e-1 .098 .117 .129 .113 .129 .096
        512 1e-4 .906 .973 .973 .969 .988 .964
        512 1e-3 .934 .973 .969 .969 .973 .971
        512 1e-2 .102 .109 .090 .121 .129 .089
        512 1e-1 .102 .059 .105 .117 .094 .103
        """,
    ),
    rows=("units", "learning_rate"),
    claims=(
        NoBetter(
            "Doubling the units past 256 is not worth the time: at most .005 more at 1e-3",
            cells={"units": 512, "learning_rate": 1e-3},
            than={"units": 256, "learning_rate": 1e-3},
            by=0.005,
        ),
        Ordered(
            "At 1e-4 more units are better",
            along="units",
            rises=True,
            where={"learning_rate": 1e-4},
            read_off=True,
        ),
        Ordered(
            "At 1e-3 more units are better",
            along="units",
            rises=True,
            where={"learning_rate": 1e-3},
            read_off=True,
        ),
        Higher(
            "Larger nets want smaller rates: at 1e-2 32 units are better than 512",
            over={"units": 32, "learning_rate": 1e-2},
            under={"units": 512, "learning_rate": 1e-2},
            read_off=True,
        ),
        Bounded(
            "1e-1 learns nothing: at most .12",
            where={"learning_rate": 1e-1},
            upper=0.12,
            read_off=True,
        ),
    ),
    given=(
        *GIVEN,
        "Batches of 256. The report labels the first row of 128 units 1e-3 twice; by its place it "
        "is 1e-4.",
    ),
)
