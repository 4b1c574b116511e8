"""Models: built from a `ModelSpec`, saved with their metadata, and loaded safely."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from rnnprobe._archive import add_metadata, check_model_file
from rnnprobe._files import atomic_path
from rnnprobe._registry import call_users, load_object, resolve, unknown_name
from rnnprobe.baselines import BASELINES
from rnnprobe.cells import CELLS
from rnnprobe.cells._joint import with_joint_kernels
from rnnprobe.errors import DataError, ModelError
from rnnprobe.optimizers import LOSSES, OPTIMIZERS
from rnnprobe.records import SequenceDataset
from rnnprobe.specs import ModelSpec, TrainSpec

_DEFAULT_EMBEDDING = 64
_OUTPUT_INITIALIZERS = {
    "output_kernel_initializer": "kernel_initializer",
    "output_bias_initializer": "bias_initializer",
}


def build_model(spec: ModelSpec, dataset: SequenceDataset) -> keras.Model:
    """Build a classifier that returns logits.

    Its input is `dataset.train.inputs`: one array, or `{"x": ..., "mask": ...}` where values have
    a mask. Tokens pass an embedding that masks token 0. Only Keras's own layers are used (and the
    user's cell), so that the saved model loads without rnnprobe.

    Args:
        spec: The architecture.
        dataset: Gives the shapes, the number of classes and of tokens; no example is read.

    Returns:
        An uncompiled functional model, float32 (num_examples, num_classes).

    Raises:
        DataError: A baseline cannot read data of this kind.
        UnknownNameError: No such cell or baseline.

    Example:
        >>> import rnnprobe
        >>> dataset = rnnprobe.load_dataset("mnist-5k")
        >>> rnnprobe.build_model(rnnprobe.ModelSpec("gru", units=8), dataset).output_shape
        (None, 10)
    """
    num_steps = None if dataset.variable_length else dataset.test.x.shape[1]
    mask = None
    if dataset.kind == "tokens":
        inputs = hidden = keras.Input((num_steps,), dtype="int32", name="x")
        size = spec.embedding or min(_DEFAULT_EMBEDDING, dataset.num_tokens)
        hidden = keras.layers.Embedding(dataset.num_tokens, size, mask_zero=True, name="embedding")(
            hidden
        )
    else:
        inputs = hidden = keras.Input((num_steps, dataset.test.x.shape[2]), name="x")
    if dataset.kind == "values" and dataset.test.mask is not None:
        mask = keras.Input((num_steps,), dtype="bool", name="mask")
        inputs = {"x": inputs, "mask": mask}
    if spec.cell in BASELINES:
        hidden = load_object(BASELINES[spec.cell])(hidden, mask, spec, dataset)
    else:
        hidden = _recurrent(spec, hidden, mask)
    output = {
        theirs: spec.initializers[ours]
        for ours, theirs in _OUTPUT_INITIALIZERS.items()
        if ours in spec.initializers
    }
    logits = keras.layers.Dense(dataset.num_classes, name="logits", **output)(hidden)
    return keras.Model(inputs, logits, name=spec.cell.replace(":", "_").replace(".", "_"))


def _recurrent(
    spec: ModelSpec, hidden: keras.KerasTensor, mask: keras.KerasTensor | None
) -> keras.KerasTensor:
    build = resolve("cell", spec.cell, {**CELLS, **BASELINES})
    initializers = {k: v for k, v in spec.initializers.items() if k not in _OUTPUT_INITIALIZERS}
    for layer in range(spec.layers):
        recurrent = call_users(
            "cell",
            spec.cell,
            build,
            spec.units,
            return_sequences=layer + 1 < spec.layers,
            dropout=spec.dropout,
            recurrent_dropout=spec.recurrent_dropout,
            **with_joint_kernels(initializers, spec.cell, hidden.shape[-1], spec.units),
            **spec.cell_options,
        )
        _number(recurrent, layer)
        if spec.bidirectional:
            recurrent = keras.layers.Bidirectional(recurrent)
            _number(recurrent, layer)
        hidden = recurrent(hidden, mask=mask) if mask is not None else recurrent(hidden)
    return hidden


def _number(layer: keras.layers.Layer, place: int) -> None:
    """Call a layer that has no name of its own as in a fresh process.

    Keras counts on over all models that a process builds.
    """
    stem = re.sub(r"_\d+$", "", layer.name)
    if stem.replace("_", "") == type(layer).__name__.lower():
        layer.name = f"{stem}_{place}" if place else stem


class _ProbabilityMeanSquaredError(keras.losses.Loss):  # type: ignore[misc]
    """Mean over the classes of (softmax(logits) - one-hot label) squared."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        classes = keras.ops.shape(y_pred)[-1]
        labels = keras.ops.reshape(keras.ops.cast(y_true, "int32"), (-1,))
        difference = keras.ops.softmax(y_pred) - keras.ops.one_hot(labels, classes)
        return keras.ops.mean(keras.ops.square(difference), axis=-1)


def build_loss(name: str) -> keras.losses.Loss:
    """Return a loss of logits against class indices, by its name in `LOSSES`."""
    if name == "cross-entropy":
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if name == "mean-squared-error":
        return _ProbabilityMeanSquaredError()
    raise unknown_name("loss", name, list(LOSSES))


def compile_model(model: keras.Model, train: TrainSpec) -> None:
    """Compile a model of logits with the optimizer and loss of `train`."""
    if train.optimizer not in OPTIMIZERS:
        raise unknown_name("optimizer", train.optimizer, list(OPTIMIZERS))
    options: dict[str, Any] = {"global_clipnorm": train.clip_norm}
    if train.weight_decay is not None:
        options["weight_decay"] = train.weight_decay
    if train.optimizer == "momentum":
        options["momentum"] = train.momentum
    optimizer = load_object(OPTIMIZERS[train.optimizer])(train.learning_rate, **options)
    model.compile(optimizer, build_loss(train.loss), metrics=["accuracy"])
    # Built now, or weights that KerasTuner saved could not be loaded into a fresh model.
    optimizer.build(model.trainable_variables)


def save_model(path: str | Path, model: keras.Model, metadata: Mapping[str, Any]) -> None:
    """Save a model as a plain Keras archive with its metadata as one more entry.

    The archive is written whole or not at all, and loads with `keras.models.load_model` where
    rnnprobe is not installed. It is compiled as it was trained, unless by a loss that Keras does
    not have.

    Args:
        path: Ends with `.keras`.
        model: Any Keras model.
        metadata: Plain values, see `rnnprobe.training.model_metadata`.

    Raises:
        OutputError: The file cannot be written.

    Example:
        >>> import rnnprobe
        >>> from rnnprobe.training import model_metadata
        >>> run, model = rnnprobe.train(data)                                  # doctest: +SKIP
        >>> rnnprobe.save_model("model.keras", model, model_metadata(data, run))
        ...                                                                    # doctest: +SKIP
    """
    if isinstance(getattr(model, "loss", None), _ProbabilityMeanSquaredError):
        model = keras.Model(model.inputs, model.outputs, name=model.name)
    with atomic_path(Path(path)) as temporary:
        model.save(temporary)
        add_metadata(temporary, metadata)


def load_model(path: str | Path, imports: Sequence[str] = ()) -> keras.Model:
    """Load a `.keras` file; code inside it is never run.

    Args:
        path: The file.
        imports: Python files or modules to import first: they register the model's own classes by
            `keras.saving.register_keras_serializable`. Each is imported once in a process.

    Raises:
        DataError: No such file, or an import is not found.
        ModelError: It is no Keras archive, holds code (a Lambda layer), or needs a class that was
            not imported.

    Example:
        >>> import rnnprobe
        >>> model = rnnprobe.load_model("model.keras", ["my_layers.py"])       # doctest: +SKIP
        >>> classifier = rnnprobe.KerasClassifier(model)                       # doctest: +SKIP
    """
    path = Path(path)
    check_model_file(path)
    for name in imports:
        import_code(name)
    try:
        model = keras.models.load_model(path, safe_mode=True)
    except Exception as exc:
        raise ModelError(_explain(path, exc)) from exc
    if not isinstance(model, keras.Model):
        raise ModelError(f"'{path}' holds a {type(model).__name__}, expected a whole model.")
    return model


def import_code(name: str) -> None:
    """Import the user's own code, a file or a module, for the classes that it registers."""
    path = Path(name)
    there = sys.modules.get(path.stem) if path.suffix == ".py" else None
    if there is not None:
        if getattr(there, "__file__", None) == str(path.resolve()):  # for the model before
            return
        raise DataError(
            f"Cannot import '{name}': a module '{path.stem}' is loaded already; rename it."
        )
    try:
        if path.suffix != ".py":
            importlib.import_module(name)
            return
        specification = importlib.util.spec_from_file_location(path.stem, path.resolve())
        if specification is None or specification.loader is None:
            raise ImportError(f"no Python file '{name}'")
        module = importlib.util.module_from_spec(specification)
        sys.modules[path.stem] = module
        try:
            specification.loader.exec_module(module)
        except BaseException:
            del sys.modules[path.stem]
            raise
    except Exception as exc:
        raise DataError(f"Cannot import '{name}': {type(exc).__name__}: {exc}.") from exc


def _explain(path: Path, exc: Exception) -> str:
    text = " ".join(str(exc).split())
    if "ambda" in text and "safe" in text.lower():
        return (
            f"'{path}' holds a Lambda layer, that is, Python code, which rnnprobe never runs; "
            "replace it by a layer class, registered and brought by --import."
        )
    missing = re.search(r"Could not locate (?:class|function) '([^']+)'", text)
    if missing:
        return (
            f"'{path}' needs the class '{missing[1]}', which is not Keras's; bring it by --import "
            "FILE or --import MODULE, registered by keras.saving.register_keras_serializable."
        )
    cause = text.rpartition("Exception encountered: ")[2]
    return f"Keras cannot load '{path}': {cause[:300]}"
