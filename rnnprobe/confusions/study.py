"""All that is asked of one model's mistakes, in one record."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnnprobe.confusions import DEFAULT_PROBES
from rnnprobe.confusions.calibration import Calibration, calibrate
from rnnprobe.confusions.classes import ClassScores, judge_classes
from rnnprobe.confusions.conflicts import Conflicts, find_conflicts
from rnnprobe.confusions.pairs import Confusions, find_confusions
from rnnprobe.confusions.slices import SliceFamily, find_slices
from rnnprobe.datasets._conflicts import dataset_keys
from rnnprobe.errors import DataError, ModelError
from rnnprobe.inspection.decisions import Decisions, PairDecision, decide, pair_decisions
from rnnprobe.protocols import StateReader
from rnnprobe.records import Array, Predictions, SequenceDataset, Split

if TYPE_CHECKING:  # Keras comes with these, and predictions from a file need none
    from rnnprobe.classifier import KerasClassifier
    from rnnprobe.confusions.folds import FoldSettings
    from rnnprobe.confusions.labels import Suspects


@dataclass(frozen=True, eq=False)
class ConfusionStudy:
    """The mistakes of one classifier, and what was found about them.

    Args:
        confusions: The mistakes and the confused pairs.
        part: The part of the data set.
        dataset: The data; None where predictions came from a file. So are all below that need it.
        conflicts: Equal inputs with different labels.
        classes: How often each class was recognised, and rightly said.
        slices: Which kinds of sequences are mistaken more often.
        calibration: Whether the probabilities are shares.
        decisions: When in the sequence each prediction was made.
        pair_decisions: The same for each pair, in the order of `confusions.pairs`.
        undecided: Why there are no decisions, where they were asked for; empty otherwise.
        suspects: Training examples whose labels are in doubt.
        opinion: bool (num_training_examples,), whom cleanlab suspects; None without it.
    """

    confusions: Confusions
    part: str = "test"
    dataset: SequenceDataset | None = None
    conflicts: Conflicts | None = None
    classes: ClassScores | None = None
    slices: tuple[SliceFamily, ...] | None = None
    calibration: Calibration | None = None
    decisions: Decisions | None = None
    pair_decisions: tuple[PairDecision, ...] = ()
    undecided: str = ""
    suspects: Suspects | None = None
    opinion: Array | None = None


def study_predictions(predictions: Predictions, *, seed: int = 0) -> ConfusionStudy:
    """Study predictions of which nothing more is known.

    Args:
        predictions: At least one.
        seed: Of what is simulated.
    """
    confusions = find_confusions(predictions)
    return ConfusionStudy(
        confusions,
        classes=judge_classes(confusions, seed=seed),
        calibration=calibrate(predictions, seed=seed),
    )


def study_confusions(
    classifier: KerasClassifier,
    dataset: SequenceDataset,
    part: str = "test",
    probes: Collection[str] = DEFAULT_PROBES,
    *,
    num_folds: int = 5,
    settings: FoldSettings | None = None,
    seed: int = 0,
    say: Callable[[str], None] | None = None,
) -> ConfusionStudy:
    """Find out what a model gets wrong on one part of a data set.

    Args:
        classifier: The model.
        dataset: The data.
        part: Its part, with at least one example.
        probes: Names of `rnnprobe.confusions.PROBES`; the pairs are found in any case. `labels`
            trains `num_folds` models.
        num_folds: For `labels`, at least 2.
        settings: How the models of the folds are trained; None is `DEFAULT_SETTINGS`.
        seed: Of the folds, and of what is simulated for calibration and classes.
        say: Called with a line after each fold.

    Raises:
        DataError: The part is empty, or does not fit the model.
        ModelError: For `labels`, the model cannot be made anew.

    Example:
        >>> study = study_confusions(classifier, dataset)          # doctest: +SKIP
        >>> study.confusions.accuracy, study.conflicts.ceiling     # doctest: +SKIP
        (0.956, 1.0)
    """
    split = dataset.splits[part]
    if len(split) == 0:
        raise DataError(f"'{dataset.name}' has no {part} part.")
    logits = classifier.logits(split.x, split.mask)
    predictions = classifier.as_predictions(logits, split, dataset.class_names)
    confusions = find_confusions(predictions)
    keys = dataset_keys(dataset)
    classes, slices, calibration, suspects, opinion = None, None, None, None, None
    if "classes" in probes:
        classes = judge_classes(confusions, seed=seed)
    if "slices" in probes:
        slices = find_slices(dataset, part, predictions, keys=keys)
    if "calibration" in probes:
        calibration = calibrate(predictions, seed=seed)
    decisions: Decisions | None = None
    pairs: tuple[PairDecision, ...] = ()
    undecided = ""
    if "decisions" in probes:
        decisions, pairs, undecided = decide_on(classifier, split, logits, confusions)
    if "labels" in probes:
        from rnnprobe.confusions.folds import out_of_fold
        from rnnprobe.confusions.labels import second_opinion, suspect_labels

        found = out_of_fold(classifier, dataset, settings, num_folds=num_folds, seed=seed, say=say)
        suspects, opinion = suspect_labels(found), second_opinion(found)
    return ConfusionStudy(
        confusions,
        part,
        dataset,
        find_conflicts(dataset, part, predictions, keys=keys),
        classes,
        slices,
        calibration,
        decisions,
        pairs,
        undecided,
        suspects,
        opinion,
    )


def decide_on(
    classifier: StateReader, split: Split, logits: Array, confusions: Confusions
) -> tuple[Decisions | None, tuple[PairDecision, ...], str]:
    """Return when a model decided, also between the confused pairs; or why that cannot be told.

    Args:
        classifier: The model.
        split: What it read.
        logits: What it answered.
        confusions: The mistakes in it.
    """
    try:
        by_step, counted = classifier.read_states(split.x, split.mask, logits=logits)
    except ModelError as exc:
        return None, (), str(exc)
    decisions = decide(by_step, counted, split.y)
    pairs = [(pair.true, pair.predicted) for pair in confusions.pairs]
    return decisions, pair_decisions(decisions, pairs), ""
