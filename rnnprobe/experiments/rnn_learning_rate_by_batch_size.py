"""Report D, first table: SimpleRNN by learning rate and batch size."""

from rnnprobe.experiments._claims import Bounded, Higher
from rnnprobe.experiments._rnn_budget import GIVEN, SETTINGS, rnn_experiment, rows_of

EXPERIMENT = rnn_experiment(
    name="rnn-learning-rate-by-batch-size",
    title="SimpleRNN of 128 units on the rows of MNIST: accuracy by learning rate and batch size",
    settings={**SETTINGS, "units": 128},
    cells=rows_of(
        "batch_size learning_rate",
        text="""
         32 1e-4 .906 .875 .938 .969 1.000 .943
         32 1e-3 .969 1.000 1.000 .969 .969 .945
         32 1e-2 .125 .125 .094 .094 .094 .098
         32 1e-1 .125 .094 .188 .156 .188 .101
         64 1e-4 .812 .922 .906 .922 .891 .940
         64 1e-3 .922 .922 .984 .938 .938 .969
         64 1e-2 .516 .312 .375 .375 .125 .098
         64 1e-1 .141 .125 .219 .094 .172 .101
        128 1e-4 .797 .859 .891 .906 .906 .924
        128 1e-3 .930 .969 .961 .961 .953 .965
        128 1e-2 .727 .656 .039 .422 .477 .438
        128 1e-1 .141 .125 .102 .133 .109 .113
        256 1e-4 .754 .867 .902 .891 .910 .914
        256 1e-3 .902 .957 .949 .965 .961 .952
        256 1e-2 .844 .875 .898 .809 .371 .408
        256 1e-1 .078 .109 .094 .102 .148 .103
        """,
    ),
    rows=("batch_size", "learning_rate"),
    claims=(
        Higher(
            "Over all batch sizes together 1e-3 is better than 1e-4",
            over={"learning_rate": 1e-3},
            under={"learning_rate": 1e-4},
            read_off=True,
        ),
        Bounded(
            "1e-2 fails: below .5",
            where={"learning_rate": 1e-2},
            upper=0.5,
            read_off=True,
        ),
        Bounded(
            "1e-1 learns nothing: at most .12",
            where={"learning_rate": 1e-1},
            upper=0.12,
            read_off=True,
        ),
        Higher(
            "At 1e-4 the smaller batch is better: 32 before 256",
            over={"learning_rate": 1e-4, "batch_size": 32},
            under={"learning_rate": 1e-4, "batch_size": 256},
            read_off=True,
        ),
        Bounded(
            "A training accuracy of 1.000 on a small batch says little: the net that shows it, "
            "batch 32 at 1e-4, has less than .97 in test",
            where={"batch_size": 32, "learning_rate": 1e-4},
            upper=0.97,
        ),
    ),
    given=GIVEN,
)
