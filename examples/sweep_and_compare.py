"""Which of nine GRUs is best, and which of the others could be just as good?

Every cell of the grid of units and learning rates is trained with three seeds, by two workers at
once. Differences that seeds and validation pictures explain by chance are no differences.

Run it by `python examples/sweep_and_compare.py`; on two cores it takes twenty seconds.
"""

from typing import Any

import rnnprobe


def main(data: Any = "mnist-5k", repeats: int = 3, epochs: int = 4) -> None:
    """Sweep, and print each cell's accuracy; `repeats` is at least 2, or there is no spread."""
    dataset = rnnprobe.load_dataset(data)
    space = rnnprobe.SearchSpace(cell="gru", units=[16, 32, 64], learning_rate=[1e-3, 3e-3, 1e-2])
    workers = rnnprobe.Execution(workers=2)
    swept = rnnprobe.sweep(dataset, space, repeats=repeats, epochs=epochs, execution=workers)

    print("validation accuracy, mean ± standard deviation over n seeds:")
    for cell in swept.cells:
        print(f"  {name(cell)}: {measured(cell, 'val_accuracy')}, {cell.seconds:.1f} s a run")

    best, *others = rnnprobe.within_noise(swept, len(dataset.validation))
    print(f"best: {name(best)}, the best of {len(swept.cells)}, so its figure is optimistic")
    print(f"  on the test part, which chose nothing: {measured(best, 'test_accuracy')}")
    # A t test over seeds and pictures for each other cell, at 5 % after Holm's correction.
    print(f"cannot be told from it: {'; '.join(map(name, others)) or 'none'}")
    found = rnnprobe.importance(swept)
    print(f"of the variance of validation accuracy among all {found.runs} runs:")
    for axes, share in found.shares.items():
        print(f"  {' with '.join(axes) or 'between seeds'}: {share:.1%}")


def name(cell: Any) -> str:
    """Name a cell by what varies."""
    settings = cell.configuration
    return f"{settings['units']} units, rate {settings['learning_rate']:g}"


def measured(cell: Any, metric: str) -> str:
    """Write a mean with its spread and the number of runs behind it."""
    mean, spread = cell.mean(metric), cell.deviation(metric)
    return f"{mean:.4f} ± {spread:.4f} (n = {len(cell.finished)})"


if __name__ == "__main__":  # the workers are child processes, which must not start their own
    main()
