"""What happens inside a SimpleRNN, an LSTM and a GRU while they read the same pictures?

Usage: python examples/inside_three_cells.py [EPOCHS] [EXAMPLES]
"""

import sys

import rnnprobe

given = [int(argument) for argument in sys.argv[1:]]
epochs, examples = (*given, *(6, 5000)[len(given) :])

data = rnnprobe.load_dataset("mnist-5k", limit_examples=examples)
train = rnnprobe.TrainSpec(learning_rate=0.003, epochs=epochs)
models = {}
for cell in ("rnn", "lstm", "gru"):
    _, model = rnnprobe.train(data, rnnprobe.ModelSpec(cell, units=32), train)
    models[cell] = rnnprobe.KerasClassifier(model)
    study = rnnprobe.study_inspection(models[cell], data)
    print(f"{cell}: {study.confusions.correct} of {study.confusions.total} right")
    for flow in study.gradients.flows:
        first, interval = flow.summary.ratio.value, flow.summary.ratio.interval
        print(
            f"  gradient of the {flow.state} at the first row: {first:.3f} of that at the last "
            f"[{interval.low:.3f}, {interval.high:.3f}], {flow.verdict}"
        )
    for gate in study.reading.gates:
        mean, right = gate.estimate("mean"), gate.estimate("right")
        if gate.name.endswith("gate"):
            print(f"  {gate.name}: mean {mean.value:.3f}, {right.value:.1%} of it above 0.9")
    found = study.explanation.found
    rows = abs(found.steps).mean(axis=0)
    print(f"  most of the most frequent mistake comes from row {rows.argmax() + 1}")

states = rnnprobe.record_cells(models["lstm"], data.test.x[:5])["lstm"]["cell state"]
print("cell states of five pictures, every row, every unit:", states.shape)
