"""All that is asked of the inside of one model, in one record."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from rnnprobe.classifier import KerasClassifier
from rnnprobe.confusions.pairs import Confusions, find_confusions
from rnnprobe.confusions.study import decide_on
from rnnprobe.errors import DataError, ModelError
from rnnprobe.inspection import PARTS
from rnnprobe.inspection._layers import walk
from rnnprobe.inspection._stepping import steppable, why_not
from rnnprobe.inspection.decisions import Decisions, PairDecision
from rnnprobe.inspection.explanation import Explanation, explain_example, explain_pair
from rnnprobe.inspection.gradients import GradientsThroughTime, gradients_through_time
from rnnprobe.inspection.input_weights import InputWeights, NoInputWeights, input_rows
from rnnprobe.inspection.reading import Reading, read_signals
from rnnprobe.inspection.weights import WeightBlock, read_weights
from rnnprobe.records import SequenceDataset, Split


@dataclass(frozen=True, eq=False)
class InspectionStudy:
    """The inside of one classifier.

    What was not asked for is None, and so is what the model has nothing of.

    Args:
        part: The part of the data set.
        dataset: The data.
        confusions: What the model says of that part.
        not_told: Of each part that was asked for and cannot be told, why: one sentence each.
        unmasked: How many examples are right where the model is not given the data's mask, of
            which it has no use in `predict`; None where that is no question.
        reading: Activations and gates.
        gradients: Gradients through time.
        decisions: When in the sequence each prediction was made.
        pair_decisions: The same for each confused pair, the most frequent first.
        weights: The weights by layer and gate.
        input_weights: What the first layer does with each input.
        explanation: The attribution of one example, or of a pair's mistakes.
    """

    part: str
    dataset: SequenceDataset
    confusions: Confusions
    not_told: Mapping[str, str]
    unmasked: int | None = None
    reading: Reading | None = None
    gradients: GradientsThroughTime | None = None
    decisions: Decisions | None = None
    pair_decisions: tuple[PairDecision, ...] = ()
    weights: tuple[WeightBlock, ...] | None = None
    input_weights: InputWeights | NoInputWeights | None = None
    explanation: Explanation | None = None


_LOOKS = (
    ("attribution",),  # first, since it says at once what was asked for in vain
    ("activations", "gates"),
    ("gradients",),
    ("decisions",),
    ("weights",),
)
"""The parts, by what one pass over the data tells."""


def study_inspection(
    classifier: KerasClassifier,
    dataset: SequenceDataset,
    part: str = "test",
    parts: Collection[str] = PARTS,
    *,
    example: int | None = None,
    pair: tuple[int, int] | None = None,
    seed: int = 0,
    say: Callable[[tuple[str, ...]], None] | None = None,
) -> InspectionStudy:
    """Look inside a model while it reads one part of a data set.

    Args:
        classifier: The model.
        dataset: The data.
        part: Its part, with at least one example.
        parts: Names of `rnnprobe.inspection.PARTS`.
        example: The example whose attribution is asked for, from 0; None: that of a pair.
        pair: True class and predicted class, whose mistakes are attributed, or of `example` the
            two classes; None: the pair that is confused most often, the first example where none
            is.
        seed: Of the noise of SmoothGrad, and of the draw where a pair has many mistakes.
        say: Called with the parts that are done, one or two at a time.

    Raises:
        DataError: The part is empty or does not fit the model, or there is no such example or
            mistake.
        ModelError: A replayed recurrent layer returns something else than the model's own.

    Example:
        >>> study = study_inspection(classifier, dataset)          # doctest: +SKIP
        >>> [flow.verdict for flow in study.gradients.flows]  # doctest: +SKIP
        ['healthy', 'healthy']
    """
    split = dataset.splits[part]
    if len(split) == 0:
        raise DataError(f"'{dataset.name}' has no {part} part.")
    logits = classifier.logits(split.x, split.mask)
    confusions = find_confusions(classifier.as_predictions(logits, split, dataset.class_names))
    stepless = _stepless(classifier.model)
    not_told = {name: stepless for name in ("gates", "gradients") if stepless and name in parts}
    left = [name for name in PARTS if name in parts and name not in not_told]

    def look(looked: tuple[str, ...]) -> dict[str, Any]:
        if "attribution" in looked:
            try:
                found = _explain(classifier, split, confusions, example, pair, seed)
            except ModelError as exc:
                not_told["attribution"] = str(exc)
                return {}
            return {"explanation": found}
        if "weights" in looked:
            model = classifier.model
            return {"weights": read_weights(model), "input_weights": input_rows(model, dataset)}
        if "gradients" in looked:
            flows = gradients_through_time(classifier, split.x, split.y, split.mask)
            return {"gradients": flows}
        if "decisions" in looked:
            decisions, pairs, reason = decide_on(classifier, split, logits, confusions)
            not_told.update({"decisions": reason} if reason else {})
            return {"decisions": decisions, "pair_decisions": pairs}
        outputs, gates = "activations" in looked, "gates" in looked
        reading = read_signals(classifier, split.x, split.mask, outputs=outputs, gates=gates)
        return {"reading": reading}

    found: dict[str, Any] = {}
    for names in _LOOKS:
        looked = tuple(name for name in names if name in left)
        if looked:
            found |= look(looked)
            if say is not None and not set(looked) & set(not_told):
                say(looked)
    unmasked = None
    if split.mask is not None and not split.mask.all() and classifier.ignores_masks:
        unmasked = int((classifier.logits(split.x).argmax(axis=1) == split.y).sum())
    return InspectionStudy(part, dataset, confusions, not_told, unmasked, **found)


def _stepless(model: keras.Model) -> str:
    """Return why the model has no cell that can be stepped; empty where it has one."""
    places = walk(model)
    if steppable(places):
        return ""
    reasons = [(place.path, why_not(place.layer)) for place in places]
    named = "; ".join(f"'{path}': {reason}" for path, reason in reasons if reason)
    return "The model has no recurrent layer" + (
        f" whose cell can be stepped ({named})." if named else "."
    )


def _explain(
    classifier: KerasClassifier,
    split: Split,
    confusions: Confusions,
    example: int | None,
    pair: tuple[int, int] | None,
    seed: int,
) -> Explanation:
    if example is None and pair is None and confusions.pairs:
        pair = confusions.pairs[0].true, confusions.pairs[0].predicted
    if example is not None or pair is None:
        return explain_example(classifier, split, example or 0, pair, seed=seed)
    predictions = confusions.predictions
    return explain_pair(
        classifier,
        split,
        predictions.predicted,
        pair,
        class_names=predictions.class_names,
        seed=seed,
    )
