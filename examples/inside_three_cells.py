"""What happens inside a SimpleRNN, an LSTM and a GRU while they read the same pictures?

A picture is read row by row. How much of the gradient arrives at the first row, how open are the
gates, and which row speaks loudest for the most frequent mistake? At the end every cell state of
every step is taken out, to be looked at as you please. All intervals are over the pictures of the
test part; another training run would differ by more.

Run it by `python examples/inside_three_cells.py`; on two cores it takes half a minute.
"""

from typing import Any

import rnnprobe


def main(data: Any = "mnist-5k", epochs: int = 6) -> None:
    """Train the three cells alike, and print what `rnnprobe inspect` finds in each."""
    dataset = rnnprobe.load_dataset(data)
    settings = rnnprobe.TrainSpec(learning_rate=0.003, epochs=epochs)
    models = {}
    for cell in ("rnn", "lstm", "gru"):
        _, model = rnnprobe.train(dataset, rnnprobe.ModelSpec(cell, units=32), settings)
        models[cell] = rnnprobe.KerasClassifier(model)
        study = rnnprobe.study_inspection(models[cell], dataset)
        right = study.confusions
        low, high = right.interval
        print(
            f"{cell}: {right.accuracy:.3f} [{low:.3f}, {high:.3f}] right "
            f"({right.correct} of {right.total})"
        )
        for flow in study.gradients.flows:
            ratio, (low, high) = flow.summary.ratio.value, flow.summary.ratio.interval
            print(
                f"  gradient of the {flow.state} at the first row: {ratio:.3f} "
                f"[{low:.3f}, {high:.3f}] of that at the last, {flow.verdict}"
            )
        for gate in study.reading.gates:
            if gate.name.endswith("gate"):
                mean, (low, high) = gate.estimate("mean")
                wide_open = gate.estimate("right").value
                print(
                    f"  {gate.name}: mean {mean:.3f} [{low:.3f}, {high:.3f}], "
                    f"{wide_open:.1%} of it above 0.9"
                )
        rows = abs(study.explanation.found.steps).mean(axis=0)
        print(f"  most of the most frequent mistake comes from row {rows.argmax() + 1}")

    layer = rnnprobe.record_cells(models["lstm"], dataset.test.x[:5])["lstm"]
    print("cell states of five pictures, every row, every unit:", layer["cell state"].shape)


if __name__ == "__main__":
    main()
