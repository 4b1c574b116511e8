"""Report B: the grid of report A, run by others from a script that is given."""

from rnnprobe.experiments._claims import BestMoves, Higher, NoBetter, Ordered
from rnnprobe.experiments._lstm_grid import GIVEN, grid, lstm_experiment

EXPERIMENT = lstm_experiment(
    name="lstm-units-by-learning-rate-2017b",
    title="LSTM on the rows of MNIST: test accuracy by units and learning rate, again",
    source="report B, coursework of 2017",
    cells=grid(
        """
              1e-5   1e-4   1e-3   1e-2   1e-1   1.
          16 .1083  .3873  .8545  .9487  .8425  .3734
          32 .2175  .6249  .9438  .9703  .8836  .0892
          64 .2156  .8204  .9619  .9752  .8127  .0958
         128 .4487  .9030  .9688  .9776  .4733  .1009
         256 .6379  .9276  .9705  .9786  .0980  .1028
         512 .7640  .9398  .9661  .9768  .4154  .0980
        1024 .8381  .9450  .9711  .3739  .1032  .1135
        2048 .8541  .9435  .9707  .0892  .0982  .1135
        4096   DNF    DNF    DNF    DNF    DNF    DNF
        """,
    ),
    twin="lstm-units-by-learning-rate-2017a",
    claims=(
        NoBetter(
            "2048 units are hardly better than 32, each at its best rate: by .005 at most",
            cells={"units": 2048, "learning_rate": 1e-3},
            than={"units": 32, "learning_rate": 1e-2},
            by=0.005,
        ),
        Higher(
            "Size is paid for in time: 2048 units take 122 s, 32 take 16 s",
            over={"units": 2048},
            under={"units": 32},
            metric="seconds",
        ),
        Ordered("Time grows with size", along="units", rises=True, metric="seconds"),
        BestMoves("The best rate moves down as the net grows", "learning_rate", along="units"),
    ),
    given=(
        *GIVEN,
        "It is written out as a TensorFlow 1 script, whose LSTM cell draws the kernels of inputs "
        "and states as one matrix by Glorot's rule.",
        "4096 units ran out of GPU memory, whatever memory options were tried.",
    ),
    chosen=("Times are those of the machine that this runs on; the report's are of its GPU.",),
)
