from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from rnnprobe import (
    ModelSpec,
    SequenceDataset,
    TrainSpec,
    build_model,
    load_model,
    save_model,
    train,
)
from rnnprobe._archive import read_metadata
from rnnprobe.errors import DataError, ModelError, OutputError, UnknownNameError
from rnnprobe.models import build_loss, compile_model
from rnnprobe.optimizers import LOSSES, OPTIMIZERS


def test_a_saved_model_loads_where_rnnprobe_is_never_imported(saved_model: Path) -> None:
    code = (
        "import sys, keras, numpy\n"
        f"model = keras.models.load_model({str(saved_model)!r})\n"
        "print(model.predict(numpy.zeros((2, 6, 3)), verbose=0).shape)\n"
        "model.evaluate(numpy.zeros((2, 6, 3)), numpy.zeros(2), verbose=0)\n"
        "assert not [name for name in sys.modules if name.startswith('rnnprobe')]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(2, 3)"


@pytest.mark.parametrize("bidirectional", [False, True])
def test_layers_are_called_alike_however_many_models_were_built(
    values: SequenceDataset, bidirectional: bool
) -> None:
    spec = ModelSpec("gru", units=2, layers=3, bidirectional=bidirectional)
    stem = "bidirectional" if bidirectional else "gru"
    wanted = ["x", stem, f"{stem}_1", f"{stem}_2", "logits"]
    for _ in range(2):
        model = build_model(spec, values)
        assert [layer.name for layer in model.layers] == wanted
        assert len({weight.path for weight in model.weights}) == len(model.weights)


def test_the_metadata_is_in_the_archive(saved_model: Path, values_npz: Path) -> None:
    metadata = read_metadata(saved_model)
    assert metadata is not None
    assert metadata["data"]["data"] == str(values_npz)
    assert metadata["class_names"] == ["0", "1", "2"]
    assert metadata["model"]["cell"] == "gru"
    assert 0 <= metadata["metrics"]["test_accuracy"] <= 1
    assert metadata["versions"]["keras"] == keras.__version__


def test_every_loss_trains_and_its_model_loads_without_rnnprobe(
    values: SequenceDataset, tmp_path: Path
) -> None:
    for loss in LOSSES:
        run, model = train(values, ModelSpec("rnn", units=2), TrainSpec(loss=loss, epochs=3))
        assert run.history["loss"][2] < run.history["loss"][0]
        save_model(tmp_path / f"{loss}.keras", model, {})
    files = [str(tmp_path / f"{loss}.keras") for loss in LOSSES]
    code = f"import keras\nfor file in {files}: keras.models.load_model(file)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    with pytest.raises(UnknownNameError, match="Unknown loss 'hinge'"):
        build_loss("hinge")


def test_losses_equal_their_formulas() -> None:
    rng = np.random.default_rng(0)
    logits, y = rng.normal(size=(7, 4)), rng.integers(0, 4, 7)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    entropy = -np.log(p[np.arange(7), y]).mean()
    squares = ((p - np.eye(4)[y]) ** 2).mean()
    assert float(build_loss("cross-entropy")(y, logits)) == pytest.approx(entropy, rel=1e-5)
    assert float(build_loss("mean-squared-error")(y, logits)) == pytest.approx(squares, rel=1e-5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_gets_its_settings(name: str, values: SequenceDataset) -> None:
    model = build_model(ModelSpec("rnn", units=2), values)
    spec = TrainSpec(
        optimizer=name, learning_rate=0.5, momentum=0.7, weight_decay=0.1, clip_norm=2.0
    )
    compile_model(model, spec)
    assert float(model.optimizer.learning_rate) == 0.5
    assert model.optimizer.weight_decay == pytest.approx(0.1)
    assert model.optimizer.global_clipnorm == 2.0
    assert getattr(model.optimizer, "momentum", 0) == (0.7 if name == "momentum" else 0)
    compile_model(model, TrainSpec(optimizer=name))
    assert model.optimizer.weight_decay == (0.004 if name == "adamw" else None)


def test_bad_models_are_one_line_that_names_the_cure(tmp_path: Path, saved_model: Path) -> None:
    truncated = tmp_path / "truncated.keras"
    truncated.write_bytes(saved_model.read_bytes()[:2000])
    text = tmp_path / "text.keras"
    text.write_text("hello")
    inputs = keras.Input((3, 2))
    hidden = keras.layers.Lambda(lambda x: x * 2)(inputs)
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(hidden))
    keras.Model(inputs, outputs).save(tmp_path / "lambda.keras")
    cases = [
        (truncated, "Cannot read .* as a Keras archive"),
        (text, "Cannot read .* as a Keras archive"),
        (tmp_path / "lambda.keras", "Lambda layer, .* never runs"),
        (tmp_path, "is no .keras file"),
    ]
    for path, message in cases:
        with pytest.raises(ModelError, match=message) as caught:
            load_model(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="There is no model file"):
        load_model(tmp_path / "no.keras")


OWN_CLASS = """
import keras

@keras.saving.register_keras_serializable("own")
class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x
"""


def test_own_classes_come_by_import_and_the_error_says_so(tmp_path: Path) -> None:
    """In a process of its own, since a registered class stays registered."""
    (tmp_path / "own.py").write_text(OWN_CLASS)
    code = (
        "import keras, own\n"
        "keras.Sequential([keras.Input((3, 2)), own.Doubled(), keras.layers.Flatten(),"
        " keras.layers.Dense(2)]).save('own.keras')\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    with pytest.raises(ModelError, match=r"needs the class 'Doubled'.* by --import FILE"):
        load_model(tmp_path / "own.keras")
    with pytest.raises(DataError, match="Cannot import 'nowhere'"):
        load_model(tmp_path / "own.keras", imports=["nowhere"])
    model = load_model(tmp_path / "own.keras", imports=[str(tmp_path / "own.py")])
    assert model.output_shape == (None, 2)


def test_a_model_is_saved_whole_or_not_at_all(values: SequenceDataset, tmp_path: Path) -> None:
    model = build_model(ModelSpec("rnn", units=2), values)
    with pytest.raises(TypeError, match="not JSON serializable"):
        save_model(tmp_path / "m.keras", model, {"bad": object()})
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OutputError, match="Cannot write"):
        save_model(tmp_path / "no" / "m.keras", model, {})


def test_a_layer_alone_is_no_model(tmp_path: Path) -> None:
    path, layer = tmp_path / "layer.keras", keras.layers.Dense(2)
    layer.build((None, 3))
    keras.saving.save_model(layer, path)
    with pytest.raises(ModelError, match="holds a Dense, expected a whole model"):
        load_model(path)


@pytest.mark.parametrize(
    ("name", "said"), [("a" * 300 + ".keras", "no model file"), ("\udcff.keras", "is not UTF-8")]
)
def test_a_name_that_cannot_be_one_is_no_model(tmp_path: Path, name: str, said: str) -> None:
    if len(name) < 100:
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=said):
        load_model(tmp_path / name)
