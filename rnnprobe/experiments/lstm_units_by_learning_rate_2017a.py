"""Report A: LSTM over the rows of MNIST, units by learning rate."""

from rnnprobe.experiments._claims import Best, BestMoves, Bounded, ExplainsMore, Ordered
from rnnprobe.experiments._lstm_grid import GIVEN, grid, lstm_experiment

EXPERIMENT = lstm_experiment(
    name="lstm-units-by-learning-rate-2017a",
    title="LSTM on the rows of MNIST: test accuracy by units and learning rate",
    source="report A, coursework of 2017",
    cells=grid(
        """
              1e-5   1e-4   1e-3   1e-2   1e-1   1.
          16 .1232  .3784  .8593  .9413  .8370  .1032
          32 .1250  .6993  .9246  .9669  .7862  .1010
          64 .2697  .8163  .9538  .9694  .8924  .1009
         128 .5023  .9050  .9684  .9792  .1032  .1028
         256 .6402  .9163  .9710  .9719  .6887  .0958
         512 .7805  .9395  .9624  .1135  .1032  .0958
        1024 .8285  .9465  .9645  .3337  .0979  .0974
        2048 .0865  .9497  .9694  .1009  .1001  .0958
        4096 .9443  .9596  .9402  .1032  .1290  .0909
        """,
    ),
    twin="lstm-units-by-learning-rate-2017b",
    claims=(
        ExplainsMore("The learning rate decides, not the size", "learning_rate", "units"),
        Bounded(
            "1e-3 is safe at every size: at least .85", where={"learning_rate": 1e-3}, lower=0.85
        ),
        BestMoves("Larger nets want smaller rates", best="learning_rate", along="units"),
        Best("The best cell is 128 units at 1e-2", is_at={"units": 128, "learning_rate": 1e-2}),
        Ordered("Time grows with size", along="units", rises=True, metric="seconds"),
    ),
    given=GIVEN,
    chosen=(
        "The kernels of inputs and states are drawn as one matrix by Glorot's rule, which is what "
        "TensorFlow 1's LSTM cell did; the report names no other.",
    ),
)
