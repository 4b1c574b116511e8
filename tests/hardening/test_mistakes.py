"""Training on mined mistakes: the pairs, the arms, the comparisons, what is said of them."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers
from scipy.stats import binomtest, ttest_rel

from rnnprobe import KerasClassifier, SequenceDataset, Split, TrainSpec
from rnnprobe.confusions.folds import DEFAULT_SETTINGS, FoldSettings, OutOfFold
from rnnprobe.errors import DataError
from rnnprobe.hardening.comparison import Comparison, compare_rows
from rnnprobe.hardening.evaluation import Attacks, Judge, Measured
from rnnprobe.hardening.experiment import Hardening, budget_for, harden, num_lines
from rnnprobe.hardening.mistakes import Mined, along, mine, mined_from, mistakes_arms
from rnnprobe.hardening.trainer import Schedule
from rnnprobe.paired import Paired
from rnnprobe.records import Predictions
from rnnprobe.reports._harden_mistakes import adjusted_text
from rnnprobe.reports.harden import harden_report
from rnnprobe.statistics import holm
from rnnprobe.table import to_json, to_markdown

ARMS = ["control", "mistakes only", "random subset", "mistakes x5", "without suspects"]


def said(y: list[int], predicted: list[int], sure: float = 0.9) -> OutOfFold:
    """Return predictions of three classes, most of the probability on the predicted one."""
    probabilities = np.full((len(y), 3), (1 - sure) / 2)
    probabilities[np.arange(len(y)), predicted] = sure
    predictions = Predictions(np.array(y, np.int32), probabilities, ("a", "b", "c"))
    return OutOfFold(predictions, np.arange(len(y)) % 2, 2, 0, DEFAULT_SETTINGS)


def test_the_mined_pairs_are_as_few_as_hold_half_of_the_mistakes() -> None:
    confused = {(0, 1): 5, (2, 1): 3, (1, 0): 2, (1, 2): 1}
    y, predicted = (
        [pair[side] for pair, count in confused.items() for _ in range(count)] + [0, 1, 2] * 10
        for side in (0, 1)
    )
    mined = mined_from(said(y, predicted))
    assert len(mined.mistakes) == 11 and mined.num_examples == 41
    assert [(pair.true, pair.predicted) for pair in mined.pairs] == [(0, 1), (2, 1)]
    assert mined.absent == ()
    half = mined_from(said(y[:5] + y[8:10] + [2, 2, 2], predicted[:5] + predicted[8:10] + [0] * 3))
    assert [pair.count for pair in half.pairs] == [5]  # exactly half is enough
    found = along(mined.pairs, np.array([0, 0, 1, 2, 2]), np.array([1, 2, 0, 1, 2]))
    assert found.tolist() == [True, False, False, True, False]
    one = mined_from(said([0, 0, 1, 2], [0, 1, 1, 2]))
    assert one.absent == ("b", "c") and len(one.pairs) == 1
    with pytest.raises(DataError, match="no mistake among the 3 training examples, so that there"):
        mined_from(said([0, 1, 2], [0, 1, 2]))


def test_the_arms_pass_what_their_names_say() -> None:
    rng = np.random.default_rng(0)
    y = rng.choice(3, 90, p=[0.6, 0.3, 0.1])
    predicted = np.where(rng.random(90) < 0.2, (y + 1) % 3, y)
    mined = mined_from(said(y.tolist(), predicted.tolist()))
    pools = {arm.name: arm.pool for arm in mistakes_arms(mined, seed=2) if arm.pool}
    assert ["control", *pools] == ARMS
    wrong = np.flatnonzero(predicted != y)
    assert (pools["mistakes only"](0) == wrong).all()
    times = np.bincount(pools["mistakes x5"](0), minlength=90)
    assert (times == np.where(predicted != y, 5, 1)).all()
    kept = pools["without suspects"](0)
    assert set(kept) | set(mined.suspects.index) == set(range(90))
    assert not set(kept) & set(mined.suspects.index)
    subsets = [pools["random subset"](repeat) for repeat in range(3)]
    for subset in subsets:
        assert len(set(subset)) == len(wrong)
        assert (np.bincount(y[subset]) == np.bincount(y[wrong])).all()
    assert (subsets[0] == pools["random subset"](0)).all()
    assert all(set(a) != set(b) for a, b in itertools.combinations(subsets, 2))
    # Nobody is suspected where no probability reaches its class's mean: that arm is the control.
    unsure = mined_from(said([0, 0, 1, 1, 2, 2, 0], [0, 0, 1, 1, 2, 2, 1]))
    weak = unsure.out_of_fold.predictions.probabilities.copy()
    weak[6] = [0.3, 0.36, 0.34]
    predictions = replace(unsure.out_of_fold.predictions, probabilities=weak)
    none = mined_from(replace(unsure.out_of_fold, predictions=predictions))
    assert [arm.name for arm in mistakes_arms(none, 0)] == ARMS[1:4]


def row(name: str, *right: np.ndarray) -> tuple[Measured, ...]:
    return tuple(Measured(name, one.astype(int), one) for one in right)


def test_comparisons_are_the_planned_ones_and_adjusted_for_all() -> None:
    rng = np.random.default_rng(1)
    shares = dict(zip(["before", *ARMS], [0.7, 0.8, 0.4, 0.5, 0.85, 0.8], strict=True))
    rows = {name: row(name, rng.random(300) < share) for name, share in shares.items()}
    found = compare_rows(rows, [], "before", "none")
    assert [one[1:3] for one in found] == [
        ("mistakes only", "random subset"), ("mistakes only", "control"),
        ("mistakes x5", "control"), ("without suspects", "control"),
        ("control", "before"), ("mistakes only", "before"), ("mistakes x5", "before"),
        ("without suspects", "before"),
    ]  # fmt: skip
    for one in found:
        first, second = rows[one.first][0].clean, rows[one.second][0].clean
        gained, lost = int((first & ~second).sum()), int((second & ~first).sum())
        assert one.paired.p_value == pytest.approx(binomtest(gained, gained + lost).pvalue)
    assert [one.p_holm for one in found] == holm([one.paired.p_value for one in found])
    assert [one.sign for one in found][1] == -1
    borderline = next(one for one in found if one.first == "mistakes x5")
    assert borderline.sign == int(borderline.p_holm < 0.05)
    less = {name: one for name, one in rows.items() if name != "without suspects"}
    assert len(compare_rows(less, [], "before", "none")) == 6
    assert (
        compare_rows({name: rows[name] for name in ("before", "control")}, [], "before", "") == ()
    )


def test_over_repeats_the_model_before_stands_for_each() -> None:
    rng = np.random.default_rng(2)
    before = rng.random(200) < 0.7
    rows = {"before": row("before", before)}
    for name in ARMS:
        rows[name] = row(name, *(rng.random(200) < 0.75 for _ in range(4)))
    found = compare_rows(rows, [], "before", "none")[-1]
    shares = [one.share("clean") for one in rows["without suspects"]]
    expected = ttest_rel(shares, [before.mean()] * 4)
    assert found.paired.p_value == pytest.approx(expected.pvalue)


class Fixed:
    """A classifier that always says the same of each example."""

    num_classes = 3

    def __init__(self, predicted: np.ndarray) -> None:
        self.predicted = predicted

    def logits(self, x: np.ndarray, mask: object = None) -> np.ndarray:
        return np.eye(3, dtype=np.float32)[self.predicted]

    def loss_gradient(self, *given: object) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError


def test_without_a_budget_only_the_errors_are_told_apart() -> None:
    y = np.array([0, 0, 1, 2, 2], np.int32)
    split = Split(np.zeros((5, 2, 1), np.float32), y)
    model = Fixed(np.array([1, 2, 1, 1, 2]))
    pairs = mined_from(said([0, 2, 1], [1, 1, 1])).pairs
    assert {(pair.true, pair.predicted) for pair in pairs} <= {(0, 1), (2, 1)}
    found = Judge(model, split, None, Attacks.seeded(0), pairs).measure("row", model)
    assert found.columns == ("clean", "mined", "other")
    assert found.clean.tolist() == [False, False, True, False, True]
    assert (found.hits("mined") == along(pairs, y, model.predicted)).all()
    total = sum(found.hits(name).astype(int) for name in found.columns)
    assert (total == 1).all()
    assert found.share("clean") == 0.4


@pytest.fixture(scope="module")
def noisy(values: SequenceDataset) -> SequenceDataset:
    """`values` with 15 of its training labels turned, so that there are mistakes and suspects."""
    y = np.array(values.train.y)
    y[:15] = (y[:15] + 1) % 3
    return replace(values, train=Split(values.train.x, y))


@pytest.fixture(scope="module")
def classifier() -> KerasClassifier:
    keras.utils.set_random_seed(1)
    pooled = layers.GlobalAveragePooling1D()
    head = layers.Dense(3, activation="softmax")
    return KerasClassifier(keras.Sequential([keras.Input((6, 3)), pooled, head]))


@pytest.fixture(scope="module")
def mined(noisy: SequenceDataset, classifier: KerasClassifier) -> Mined:
    settings = FoldSettings(TrainSpec(learning_rate=0.1, batch_size=16, epochs=4))
    return mine(classifier, noisy, settings, num_folds=3)


@pytest.fixture(scope="module")
def hardened(noisy: SequenceDataset, classifier: KerasClassifier, mined: Mined) -> Hardening:
    schedule = Schedule(steps=6, batch_size=16, learning_rate=0.1)
    return harden(classifier, noisy, None, ("mistakes",), schedule, repeats=2, mined=mined)


def test_all_arms_make_the_same_updates_and_nothing_is_attacked(
    noisy: SequenceDataset, classifier: KerasClassifier, mined: Mined, hardened: Hardening
) -> None:
    given = classifier.model.get_weights()
    lines: list[str] = []
    schedule = Schedule(steps=6, batch_size=16, learning_rate=0.1)
    again = harden(
        classifier, noisy, None, ("mistakes",), schedule, repeats=2, mined=mined, say=lines.append
    )
    assert len(lines) == num_lines(noisy, ("mistakes",), 2, mined) == 1 + 2 * 2 * 5
    assert all((a == b).all() for a, b in zip(given, classifier.model.get_weights(), strict=True))
    assert list(hardened.arms) == ARMS and hardened.threshold is None
    assert hardened.before.columns == ("clean", "mined", "other")
    assert hardened.num_updates == 6
    number = len(mined.mistakes)
    assert list(hardened.pool_sizes.values()) == [
        len(noisy.train), number, number, len(noisy.train) + 4 * number,
        len(noisy.train) - len(mined.suspects),
    ]  # fmt: skip
    report = harden_report(hardened, noisy, title="m")
    assert report == harden_report(again, noisy, title="m")
    # Labels that were turned teach the wrong class: the mistakes alone must do harm here.
    means = {name: np.mean([one.share("clean") for one in arm]) for name, arm in again.arms.items()}
    assert means["mistakes only"] < means["control"]


def test_the_report_says_what_was_done_and_how_sure_it_is(
    noisy: SequenceDataset, mined: Mined, hardened: Hardening
) -> None:
    report = harden_report(hardened, noisy, title="m")
    text = to_markdown(report)
    total = len(noisy.train)
    for part in (
        f"Mined: {len(mined.mistakes)} mistakes out of fold among {total} training examples",
        f"{len(mined.suspects)} suspected labels among them",
        "from fresh weights, trained on the other 2: adam, learning rate 0.1, batches of 16",
        "Trained: 6 updates of at most 16 examples an arm",
        "paired t test and interval over 2 repeats",
        "only large differences show",
        "adjusted by Holm",
        "nothing was chosen by it",
        "test accuracy |",
        "raises test accuracy? ",
    ):
        assert part in text, part
    assert "robust" not in text and "epsilon" not in text
    records = json.loads(to_json(report))
    assert len(records["tables"]["paired"]) == 8
    assert {one["arm"] for one in records["tables"]["effects"]} == {"before", *ARMS[1:]}
    pairs = records["tables"]["mined_pairs"]
    first = mined.pairs[0]
    taken = [
        ((noisy.test.y == first.true) & (one.predicted == first.predicted)).sum()
        for one in hardened.arms["mistakes x5"]
    ]
    assert pairs[0]["mistakes_x5"] == pytest.approx(np.mean(taken))
    assert (pairs[0]["mined"], pairs[0]["support"]) == (first.count, first.support)
    rows = {one["model"]: one for one in records["rows"]}
    assert rows["control"]["clean"] + rows["control"]["mined"] + rows["control"]["other"] == (
        pytest.approx(1)
    )


def test_verdicts_follow_from_the_adjusted_tests(
    noisy: SequenceDataset, mined: Mined, hardened: Hardening
) -> None:
    hits = np.arange(200) < 100
    flat = Measured("x", np.zeros(200, int), hits, ~hits, hits & False)
    better = replace(flat, clean=np.arange(200) < 140)
    y = np.zeros(200, np.int32)
    dataset = replace(noisy, test=Split(np.zeros((200, 6, 3), np.float32), y))
    arms = {name: (replace(flat, name=name),) for name in ARMS}
    found = replace(hardened, before=flat, arms=arms)
    findings = {one.key: one for one in harden_report(found, dataset, title="m").findings}
    assert "No gain was measured here" in findings["answer"].sentence
    assert "**neither helped nor harmed** measurably" in findings["mistakes_x5_control"].sentence
    found = replace(found, arms={**arms, "mistakes x5": (replace(better, name="mistakes x5"),)})
    findings = {one.key: one for one in harden_report(found, dataset, title="m").findings}
    assert "Here yes: mistakes x5 did better than the control" in findings["answer"].sentence
    assert "mistakes x5 **helped** beside the control: " in findings["mistakes_x5_control"].sentence
    assert "exact McNemar" in findings["tested"].sentence
    assert findings["mistakes_x5_control"].value["difference"] == pytest.approx(0.2)
    worse = replace(flat, clean=np.arange(200) < 40)
    both = {name: (replace(worse, name=name),) for name in ("mistakes only", "mistakes x5")}
    found = replace(found, arms={**arms, **both})
    findings = {one.key: one for one in harden_report(found, dataset, title="m").findings}
    assert "Here no: both they alone and five times" in findings["answer"].sentence
    assert findings["repeats"].value == {"examples": 200, "distinct": 1}
    less = {name: arm for name, arm in arms.items() if name != "without suspects"}
    sizes = {name: hardened.pool_sizes[name] for name in less}
    none = replace(mined, suspects=replace(mined.suspects, index=np.arange(0)))
    found = replace(found, arms=less, pool_sizes=sizes, mined=none)
    findings = {one.key: one for one in harden_report(found, dataset, title="m").findings}
    assert "was left out: no label is suspected" in findings["no_suspects"].sentence


@pytest.mark.parametrize(
    ("p_value", "p_holm", "taken_back"),
    [(0.01, 0.07, True), (0.2, 0.6, False), (0.001, 0.01, False)],
)
def test_a_difference_that_the_adjustment_takes_back_says_so(
    p_value: float, p_holm: float, taken_back: bool
) -> None:
    paired = Paired(0.1, 0.02, 0.18, p_value, 9, 2, "a test")
    text = adjusted_text(Comparison("clean", "mistakes x5", "control", paired, p_holm))
    assert text.startswith(f"adjusted p = {p_holm:g}")
    assert text.endswith(", which is not below 0.05") is taken_back


def test_mistakes_of_models_that_learnt_nothing_are_called_so(
    noisy: SequenceDataset, mined: Mined, hardened: Hardening
) -> None:
    said = "the folds' models cannot be told from guessing"
    findings = {one.key: one for one in harden_report(hardened, noisy, title="m").findings}
    assert said not in findings["mined"].sentence
    predictions = mined.out_of_fold.predictions
    always = replace(predictions, probabilities=np.tile([0.8, 0.1, 0.1], (mined.num_examples, 1)))
    fold = replace(mined.out_of_fold, predictions=always)
    poor = replace(hardened, mined=replace(mined, out_of_fold=fold))
    findings = {one.key: one for one in harden_report(poor, noisy, title="m").findings}
    assert said in findings["mined"].sentence


def test_with_an_adversarial_arm_all_are_attacked(
    noisy: SequenceDataset, classifier: KerasClassifier, mined: Mined
) -> None:
    from rnnprobe.attacks.apgd import APGD
    from rnnprobe.attacks.pgd import PGD
    from rnnprobe.attacks.square import Square

    weak = Attacks(PGD(2, stop_early=False), PGD(2), APGD(2), Square(2))
    budget, names = budget_for(noisy, 0.1, "linf"), ("mistakes", "fgsm")
    schedule = Schedule(steps=1, batch_size=16)
    lines: list[str] = []
    found = harden(classifier, noisy, budget, names, schedule, attacks=weak, mined=mined,
                   say=lines.append)  # fmt: skip
    assert len(lines) == num_lines(noisy, names, 1, mined)
    assert list(found.arms) == [*ARMS, "fgsm"]
    report = harden_report(found, noisy, title="m")
    columns = {column.key for column in report.main.columns}
    assert {"clean", "mined", "other", "stale", "fresh", "adaptive"} <= columns
    flattered = {key for key in (one.key for one in report.findings) if "flatters" in key}
    assert not any("mistakes" in key for key in flattered)
    measures = {(one["first"], one["measure"]) for one in report.tables["paired"].records()}
    assert ("fgsm", "adaptive robust accuracy") in measures
    assert ("mistakes x5", "accuracy") in measures and len(report.tables["paired"].rows) == 11


def test_a_budget_goes_with_adversarial_arms_alone(
    noisy: SequenceDataset, classifier: KerasClassifier
) -> None:
    with pytest.raises(ValueError, match="`budget` must be None for 'mistakes' alone"):
        harden(classifier, noisy, budget_for(noisy, 0.1, "linf"), ("mistakes",))
    with pytest.raises(ValueError, match="a Budget otherwise, but got budget=None"):
        harden(classifier, noisy, None, ("pgd",))
