"""Tune, probe and explain recurrent Keras classifiers.

Importing the package imports neither Keras nor NumPy; a name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnprobe._registry import load_object

__version__ = "0.1.0"

_PUBLIC = {
    "Attack": "rnnprobe.protocols:Attack",
    "Bounds": "rnnprobe.records:Bounds",
    "Budget": "rnnprobe.records:Budget",
    "Classifier": "rnnprobe.protocols:Classifier",
    "CsvColumns": "rnnprobe.datasets._csv:CsvColumns",
    "KerasClassifier": "rnnprobe.classifier:KerasClassifier",
    "ModelSpec": "rnnprobe.specs:ModelSpec",
    "RecurrentHyperModel": "rnnprobe.search.hypermodel:RecurrentHyperModel",
    "RnnprobeError": "rnnprobe.errors:RnnprobeError",
    "Run": "rnnprobe.specs:Run",
    "Execution": "rnnprobe.search.task:Execution",
    "SearchSpace": "rnnprobe.search.space:SearchSpace",
    "SequenceDataset": "rnnprobe.records:SequenceDataset",
    "Split": "rnnprobe.records:Split",
    "Synthesis": "rnnprobe.attacks._synthesis:Synthesis",
    "TrainSpec": "rnnprobe.specs:TrainSpec",
    "check_dataset": "rnnprobe.datasets._check:check_dataset",
    "check_honesty": "rnnprobe.attacks._checks:check_honesty",
    "evaluate_attacks": "rnnprobe.attacks._run:evaluate_attacks",
    "run_attack": "rnnprobe.attacks._run:run_attack",
    "study_attacks": "rnnprobe.attacks._study:study_attacks",
    "synthesize_class": "rnnprobe.attacks._synthesis_study:synthesize_class",
    "compare_models": "rnnprobe.confusions.comparison:compare_models",
    "find_stable": "rnnprobe.confusions.stability:find_stable",
    "out_of_fold": "rnnprobe.confusions.folds:out_of_fold",
    "study_confusions": "rnnprobe.confusions.study:study_confusions",
    "study_inspection": "rnnprobe.inspection.study:study_inspection",
    "suspect_labels": "rnnprobe.confusions.labels:suspect_labels",
    "build_model": "rnnprobe.models:build_model",
    "find_confusions": "rnnprobe.confusions.pairs:find_confusions",
    "gradients_through_time": "rnnprobe.inspection.gradients:gradients_through_time",
    "harden": "rnnprobe.hardening.experiment:harden",
    "load_dataset": "rnnprobe.datasets._load:load_dataset",
    "load_model": "rnnprobe.models:load_model",
    "predict_new": "rnnprobe.prediction:predict_new",
    "record_cells": "rnnprobe.inspection.reading:record_cells",
    "save_model": "rnnprobe.models:save_model",
    "importance": "rnnprobe.search.analysis:importance",
    "within_noise": "rnnprobe.search.analysis:within_noise",
    "load_tune": "rnnprobe.search.tuner:load_tune",
    "load_sweep": "rnnprobe.search.sweep:load_sweep",
    "sweep": "rnnprobe.search.sweep:sweep",
    "train": "rnnprobe.training:train",
    "tune": "rnnprobe.search.tuner:tune",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from rnnprobe.attacks._checks import check_honesty as check_honesty
    from rnnprobe.attacks._run import evaluate_attacks as evaluate_attacks
    from rnnprobe.attacks._run import run_attack as run_attack
    from rnnprobe.attacks._study import study_attacks as study_attacks
    from rnnprobe.attacks._synthesis import Synthesis as Synthesis
    from rnnprobe.attacks._synthesis_study import synthesize_class as synthesize_class
    from rnnprobe.classifier import KerasClassifier as KerasClassifier
    from rnnprobe.confusions.comparison import compare_models as compare_models
    from rnnprobe.confusions.folds import out_of_fold as out_of_fold
    from rnnprobe.confusions.labels import suspect_labels as suspect_labels
    from rnnprobe.confusions.pairs import find_confusions as find_confusions
    from rnnprobe.confusions.stability import find_stable as find_stable
    from rnnprobe.confusions.study import study_confusions as study_confusions
    from rnnprobe.datasets._check import check_dataset as check_dataset
    from rnnprobe.datasets._csv import CsvColumns as CsvColumns
    from rnnprobe.datasets._load import load_dataset as load_dataset
    from rnnprobe.errors import RnnprobeError as RnnprobeError
    from rnnprobe.hardening.experiment import harden as harden
    from rnnprobe.inspection.gradients import gradients_through_time as gradients_through_time
    from rnnprobe.inspection.reading import record_cells as record_cells
    from rnnprobe.inspection.study import study_inspection as study_inspection
    from rnnprobe.models import build_model as build_model
    from rnnprobe.models import load_model as load_model
    from rnnprobe.models import save_model as save_model
    from rnnprobe.prediction import predict_new as predict_new
    from rnnprobe.protocols import Attack as Attack
    from rnnprobe.protocols import Classifier as Classifier
    from rnnprobe.records import Bounds as Bounds
    from rnnprobe.records import Budget as Budget
    from rnnprobe.records import SequenceDataset as SequenceDataset
    from rnnprobe.records import Split as Split
    from rnnprobe.search.analysis import importance as importance
    from rnnprobe.search.analysis import within_noise as within_noise
    from rnnprobe.search.hypermodel import RecurrentHyperModel as RecurrentHyperModel
    from rnnprobe.search.space import SearchSpace as SearchSpace
    from rnnprobe.search.sweep import load_sweep as load_sweep
    from rnnprobe.search.sweep import sweep as sweep
    from rnnprobe.search.task import Execution as Execution
    from rnnprobe.search.tuner import load_tune as load_tune
    from rnnprobe.search.tuner import tune as tune
    from rnnprobe.specs import ModelSpec as ModelSpec
    from rnnprobe.specs import Run as Run
    from rnnprobe.specs import TrainSpec as TrainSpec
    from rnnprobe.training import train as train


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'rnnprobe' has no attribute '{name}'")
    return load_object(_PUBLIC[name])


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
