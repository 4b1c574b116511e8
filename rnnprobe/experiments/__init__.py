"""Published experiments by name; each module holds `EXPERIMENT`, a record of plain data.

`rnnprobe.experiments._reproduce` runs one and sets what is measured beside what was published.
"""

EXPERIMENTS = {
    "lstm-units-by-learning-rate-2017a": (
        "rnnprobe.experiments.lstm_units_by_learning_rate_2017a:EXPERIMENT"
    ),
    "lstm-units-by-learning-rate-2017b": (
        "rnnprobe.experiments.lstm_units_by_learning_rate_2017b:EXPERIMENT"
    ),
    "cnn-optimizers": "rnnprobe.experiments.cnn_optimizers:EXPERIMENT",
    "mnist-cells-and-optimizers": "rnnprobe.experiments.mnist_cells_and_optimizers:EXPERIMENT",
    "rnn-learning-rate-by-batch-size": (
        "rnnprobe.experiments.rnn_learning_rate_by_batch_size:EXPERIMENT"
    ),
    "rnn-units-by-learning-rate": "rnnprobe.experiments.rnn_units_by_learning_rate:EXPERIMENT",
    "lstm-optimizers": "rnnprobe.experiments.lstm_optimizers:EXPERIMENT",
    "surnames-layers-by-units": "rnnprobe.experiments.surnames_layers_by_units:EXPERIMENT",
    "surnames-batch-size": "rnnprobe.experiments.surnames_batch_size:EXPERIMENT",
}

__all__ = ["EXPERIMENTS"]
