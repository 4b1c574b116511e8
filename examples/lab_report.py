"""Answer seven questions about recurrent nets that read digits, and write it up as a lab report.

Usage: python examples/lab_report.py [--data mnist-5k] [--out lab_report] [--quick]
"""

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import rnnprobe
from rnnprobe._versions import made_by
from rnnprobe.attacks._study import study_attacks
from rnnprobe.attacks._synthesis import Synthesis
from rnnprobe.attacks._synthesis_study import nearest_examples, synthesize_class
from rnnprobe.attacks.noise import Noise
from rnnprobe.attacks.pgd import PGD
from rnnprobe.confusions.folds import FoldSettings
from rnnprobe.hardening.mistakes import mine
from rnnprobe.paired import compare_paired
from rnnprobe.reports._attack_figures import attack_gallery
from rnnprobe.reports._figures import gallery, save_figures
from rnnprobe.reports._stability_figure import stability_figure
from rnnprobe.reports._sweep_figures import sweep_figures
from rnnprobe.reports._synthesis_figures import synthesis_figure
from rnnprobe.reports.attack import attack_report
from rnnprobe.reports.confusions_models import confusions_models_report
from rnnprobe.reports.harden import harden_report
from rnnprobe.reports.sweep import sweep_report
from rnnprobe.reports.synthesize import synthesize_report
from rnnprobe.search.analysis import importance, within_noise
from rnnprobe.statistics import compare_means, holm, wilson_interval
from rnnprobe.table import Column, Report, Table, markdown_table, p_text

# How much is tried; `--quick` is there to see it work, and not to be believed.
SIZES = {"rates": [1e-4, 1e-3, 1e-2, 1e-1], "batches": [32, 128, 256], "units": 128, "epochs": 8}
SIZES |= {"repeats": 5, "starts": 10, "steps": 500, "examples": None}
QUICK = {"rates": [1e-3, 1e-2], "batches": [32, 64], "units": 16, "epochs": 1}
QUICK |= {"repeats": 2, "starts": 2, "steps": 20, "examples": 100}
RADII = (0.03, 0.1, 0.2)  # of changes of a pixel, which is from 0 to 1
SURE = 0.9  # the probability from which an answer is called confident


class Lab:
    """The data, the sizes, and the report as far as it is written."""

    def __init__(self, data: rnnprobe.SequenceDataset, sizes: dict[str, Any], folder: Path) -> None:
        self.data, self.folder, self.text, self.answers = data, folder, [], []
        self.sizes = SimpleNamespace(**sizes)
        folder.mkdir(parents=True, exist_ok=True)

    def question(self, question: str, done: str) -> None:
        """Begin a section: what is asked, and what is done."""
        print(f"{time.strftime('%X')} {question}", flush=True)
        self.text += [f"## {len(self.answers) + 1}. {question}", done]

    def report(self, report: Report, *keys: str, rows: int | None = None) -> None:
        """Write the table of a report, or its first rows, and the sentences of these keys."""
        table = report.shown or report.main
        if rows != 0:
            self.text.append(markdown_table(dataclasses.replace(table, rows=table.rows[:rows])))
        if said := [found.sentence for found in report.findings if found.key in keys]:
            self.text.append("\n".join(f"- {sentence}" for sentence in said))

    def table(self, titles: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Write a table of our own."""
        columns = [Column(titles[0], titles[0])]
        columns += [Column(title, title, "markdown") for title in titles[1:]]
        self.text.append(markdown_table(Table(tuple(columns), tuple(rows))))

    def picture(self, name: str, figure: Any, caption: str) -> None:
        """Save a picture and show it."""
        save_figures(self.folder, {name: figure})
        self.text.append(f"![{caption}]({name})")

    def answer(self, headline: str, more: str) -> None:
        """Write the answer; its headline goes into the abstract, too."""
        self.text.append(f"**Answer.** {headline} {more}")
        self.answers.append(headline)


def share(hits: np.ndarray) -> str:
    """Return a share of bools with its 95 % interval and the counts behind it."""
    count, total = int(np.sum(hits)), len(hits)
    low, high = wilson_interval(count, total)
    return f"{count / total:.3f} [{low:.3f}, {high:.3f}] ({count:,} of {total:,})"


def points(difference: float, low: float, high: float) -> str:
    """Return a difference of shares with its interval, in points of 1 %."""
    return f"{100 * difference:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"


def learning_rate(lab: Lab) -> dict[str, Any]:
    """Return the learning rate and the batch size that validation prefers."""
    sizes = lab.sizes
    lab.question(
        "Which learning rate, and which batch size?",
        f"A SimpleRNN of {sizes.units} units reads a picture row by row (Adam, {sizes.epochs} "
        f"epochs). `sweep` trains every combination {sizes.repeats} times and chooses on the "
        "validation part alone.",
    )
    axes = {"learning_rate": sizes.rates, "batch_size": sizes.batches}
    space = rnnprobe.SearchSpace(cell="rnn", units=sizes.units, **axes)
    swept = rnnprobe.sweep(lab.data, space, repeats=sizes.repeats, epochs=sizes.epochs)
    lab.report(sweep_report(swept, lab.data), "best", "test", "tied", "importance")
    heatmap = sweep_figures(swept, None, None, "val_accuracy")["heatmap.png"]
    lab.picture("learning_rate.png", heatmap, "Validation accuracy by learning rate and batch size")
    parts = importance(swept).shares
    sources = [("learning_rate",), ("batch_size",), tuple(axes), ()]
    rate, batch, both, seeds = (parts.get(source, 0.0) for source in sources)
    matters = f"the {'learning rate' if rate > batch else 'batch size'} matters most"
    if max(rate, batch) <= max(both, seeds):
        matters = "neither matters by itself more than the rest"
    best, *tied = within_noise(swept, len(lab.data.validation))
    chosen = {name: best.configuration[name] for name in axes}
    lab.answer(
        "Of the variance of validation accuracy over this grid, the learning rate explains "
        f"{rate:.0%}, the batch size {batch:.0%}, that one depends on the other {both:.0%}, and "
        f"the seed {seeds:.0%}: {matters}.",
        f"The best cell is a rate of {chosen['learning_rate']:g} at batch {chosen['batch_size']}, "
        f"from which {len(tied)} of the {len(swept.cells) - 1} others cannot be told by "
        f"{sizes.repeats} seeds. All that follows uses it.",
    )
    return chosen


def cells(lab: Lab, chosen: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Return the SimpleRNNs and the LSTMs, one a seed."""
    data, repeats = lab.data, lab.sizes.repeats
    lab.question(
        "Is an LSTM five points better than a SimpleRNN, with nothing else changed?",
        f"Both cells, with {repeats} seeds that chose nothing before, at the learning rate and "
        "batch size that were best for the SimpleRNN. The interval covers other seeds and other "
        "test pictures together.",
    )
    space = rnnprobe.SearchSpace(cell=["rnn", "lstm"], units=lab.sizes.units, **chosen)
    settings = {"repeats": repeats, "seed": repeats, "epochs": lab.sizes.epochs}
    with tempfile.TemporaryDirectory() as folder:
        how = rnnprobe.Execution(run_dir=Path(folder), save_models=True)
        swept = rnnprobe.sweep(data, space, execution=how, **settings)
        files = sorted(Path(folder, "models").glob("*.keras"), reverse=True)  # RNNs, then LSTMs
        nets = [rnnprobe.KerasClassifier(rnnprobe.load_model(file)) for file in files]
    said = [net.predict(data.test, data.class_names) for net in nets]
    groups = [range(repeats), range(repeats, 2 * repeats)]
    found = rnnprobe.compare_models(said, groups).groups[0].difference
    lab.report(sweep_report(swept, data, metric="test_accuracy"))
    gain = points(found.difference, *found.interval)
    lab.table(["", "difference [95 %]", "p"], [("LSTM less RNN", gain, p_text(found.p_value))])
    rnn, lstm = swept.cells
    lab.answer(
        f"LSTM less SimpleRNN: {gain} of test accuracy, "
        f"{'a measured difference' if found.p_value < 0.05 else 'which is within noise'}; five "
        f"points {'lie' if found.interval.low <= 0.05 <= found.interval.high else 'do not lie'} "
        "in that interval.",
        f"That is for {len(data.train):,} training pictures and {lab.sizes.epochs} epochs. No "
        f"setting was changed, but the LSTM has {lstm.parameters:,} parameters beside "
        f"{rnn.parameters:,}, and took {lstm.seconds:.1f} s a run beside {rnn.seconds:.1f} s here.",
    )
    return nets[:repeats], nets[repeats:]


def one_minibatch(lab: Lab, net: rnnprobe.KerasClassifier) -> None:
    """Measure a net on its training part, minibatch by minibatch."""
    data = lab.data
    lab.question(
        "What does a training accuracy of 1.000 on a small batch say?",
        "The training part is cut at random into minibatches, and the first SimpleRNN is measured "
        "on each of them. A minibatch without a mistake is compatible with accuracies down to the "
        "lower end of its 95 % Wilson interval. The published net that showed 1.000 on 32 pictures "
        "was right in .943 of the test part.",
    )
    train, test = (
        net.predict(part, data.class_names).predicted == part.y for part in (data.train, data.test)
    )
    order, rows = np.random.default_rng(0).permutation(train), []
    for size in (size for size in (32, 64, 128, 256) if size <= len(order)):
        cut = order[: len(order) // size * size].reshape(-1, size).mean(axis=1)
        least = wilson_interval(size, size).low
        spread = f"{cut.min():.3f} to {cut.max():.3f}"
        rows.append((size, len(cut), int((cut == 1).sum()), spread, f"{least:.3f}"))
    lab.table(["batch", "batches", "at 1.000", "accuracies", "1.000 is compatible with"], rows)
    size, number, full, spread, least = rows[0]
    lab.answer(
        f"1.000 on {size} pictures is compatible with any accuracy from {least} on: {full} of "
        f"{number} minibatches show it, while the net is right in {share(train)} of the training "
        f"and {share(test)} of the test part.",
        f"The minibatches of {size} show anything from {spread}, and none says anything of "
        "pictures that were not trained on.",
    )


def confusions(lab: Lab, nets: list[Any]) -> None:
    """Find the pairs that all nets confuse, and what is special about the pictures."""
    data = lab.data
    lab.question(
        "Which digits are mistaken for each other, and what do the mistaken pictures have in "
        "common?",
        f"The {len(nets)} LSTMs, alike but for the seed, on the test part. A pair is *stable* "
        "where all make the mistake, on the same pictures more than by chance, and no difference "
        "in how often was measured.",
    )
    said = [net.predict(data.test, data.class_names) for net in nets]
    found, names = rnnprobe.find_stable(said), data.class_names
    alike = {"names": [f"LSTM {n}" for n in range(1, len(nets) + 1)], "same_settings": True}
    report = confusions_models_report(found, dataset=data, **alike)
    lab.report(report, "accuracy", "wrong_in_every_model", "verdicts", rows=6)
    figure = stability_figure(found, title=f"{len(nets)} LSTMs on {data.name}", **alike)
    lab.picture("pairs.png", figure, "How often each pair of digits is confused, by model")
    often = found.times_wrong > len(nets) / 2
    captions = {
        index: f"{index}: {names[data.test.y[index]]} taken for "
        + ", ".join(names[one.predicted[index]] for one in said)
        for index in np.flatnonzero(often)[:18]
    }
    heading = f"{len(captions)} of the {often.sum()} pictures wrong in most LSTMs: class, and "
    heading += "what each LSTM took it for"
    figure = gallery(data, "test", captions, heading, empty="no picture is wrong in most LSTMs")
    lab.picture("mistakes.png", figure, heading)
    told = [
        f"{names[pair.true]} for {names[pair.predicted]} ({pair.share:.3f} "
        "[{:.3f}, {:.3f}])".format(*(pair.interval_over_models or pair.interval))
        for pair in found.pairs
        if pair.verdict == "stable"
    ]
    hard = "no more than chance explains"
    if found.interval.low * len(often) > found.by_chance[-1]:
        hard = "more than chance explains, so that the pictures have a part in it"
    lab.answer(
        "Pairs confused by every LSTM on the same pictures, with the share of the true class: "
        f"{', '.join(told) or 'none was measured'}.",
        f"{found.distribution[-1]} pictures are wrong in all, by chance it would be "
        f"{found.by_chance[-1]:.2g}: {hard}. "
        + in_common(lab, often, np.mean([one.confidence for one in said], axis=0)),
    )


def in_common(lab: Lab, often: np.ndarray, confidence: np.ndarray) -> str:
    """Compare the pictures that most models mistake with the others, and say what differs."""
    data = lab.data
    nearest, far = nearest_examples(data.test.x, data.test.mask, data.train)
    measures = {
        "confidence of the answer": confidence,
        "L2 distance to the nearest training picture": far,
        "share whose nearest training picture is of another class": (
            data.train.y[nearest] != data.test.y
        ),
        "ink (mean pixel)": data.test.x.mean(axis=(1, 2)),
    }
    found = [compare_means(one[often] * 1.0, one[~often] * 1.0) for one in measures.values()]
    if None in found:
        return "Too few pictures are wrong in most models to say what they have in common."
    adjusted, rows, told = holm([one.p_value for one in found]), [], []
    for (name, values), one, p in zip(measures.items(), found, adjusted, strict=True):
        wrong, right, (low, high) = values[often].mean(), values[~often].mean(), one.interval
        difference = f"{one.difference:+.3f} [{low:+.3f}, {high:+.3f}]"
        rows.append((name, f"{wrong:.3f}", f"{right:.3f}", difference, p_text(p)))
        told += [f"{name} {wrong:.3f} beside {right:.3f}"] * (p < 0.05)
    titles = [f"{often.sum()} wrong in most", f"{(~often).sum()} others", "difference [95 %]"]
    lab.table(["mean", *titles, "p (Holm)"], rows)
    differ = "; ".join(told) or "nothing that was measured"
    return f"The {often.sum()} that most get wrong differ from the others in {differ}."


def retrain(lab: Lab, net: rnnprobe.KerasClassifier, chosen: dict[str, Any]) -> None:
    """Train on mistakes beside controls."""
    data, repeats = lab.data, lab.sizes.repeats
    lab.question(
        "Can the misclassified pictures be made into a training set that raises test accuracy?",
        "Which training pictures are mistaken, models tell that had not seen them (five folds). "
        f"`harden --with mistakes` goes on training the first LSTM, {repeats} times: on these "
        "alone, on as many random ones of the same classes, on all with the mistakes five times, "
        "and on all (the control); each with as many updates.",
    )
    settings = FoldSettings(rnnprobe.TrainSpec(epochs=lab.sizes.epochs, **chosen))
    mined = mine(net, data, settings)
    found = rnnprobe.harden(net, data, None, ("mistakes",), repeats=repeats, mined=mined)
    report = harden_report(found, data, title="the LSTM")
    keys = ("mistakes_only_random_subset", "mistakes_only_control", "mistakes_x5_control")
    lab.report(report, *keys, "mined", "tested")
    answer = next(one.sentence for one in report.findings if one.key == "answer")
    differences = [
        f"{one.first} less {one.second} {points(*one.paired[:3])}" for one in found.comparisons()
    ]
    lab.answer(answer.partition("? ")[2] + ".", f"{'; '.join(differences[:3])}.")


def targeted(lab: Lab, net: rnnprobe.KerasClassifier) -> np.ndarray:
    """Return the indices of the right answers that the net is surest of."""
    data = lab.data
    found = net.predict(data.test, data.class_names)
    right = np.flatnonzero(found.predicted == data.test.y)
    sure = right[np.argsort(-found.confidence[right], kind="stable")[:100]]
    part, least = data.test.take(sure), found.confidence[sure].min()
    lab.question(
        "Which noise turns a confidently right answer into a confidently wrong one?",
        f"The {len(sure)} right answers that the first LSTM is surest of (probability {least:.3f} "
        "or more), each aimed at a random wrong class. No pixel, from 0 to 1, changes by more than "
        "epsilon. `attack` sets random noise beside noise made by the gradient (PGD). The table "
        "has the share taken for the class aimed at; in the picture the noise goes on from there "
        "to the point of most confidence, and examples are numbered from the surest, 0.",
    )
    budgets = [rnnprobe.Budget(e, "linf", data.bounds) for e in RADII]
    attacks = {"noise": Noise(targeted=True), "pgd": PGD(targeted=True)}
    study = study_attacks(net, part, attacks, [budgets], targeted=True)
    lab.report(attack_report(study, title="the LSTM", dataset=data), "checks_linf")
    targets, fooled = study.outcomes[0].targets, study.outcomes[0].fooled
    # PGD stops where the class is reached; here it goes on to the most confident point.
    on = {"pgd": PGD(targeted=True, stop_early=False)}
    outcome = rnnprobe.evaluate_attacks(on, net, part, budgets[-1:], targets=targets)
    after = net.predict(rnnprobe.Split(outcome.examples[-1], targets), data.class_names)
    confident = after.probabilities[np.arange(len(sure)), targets] >= SURE
    lab.picture("targeted.png", attack_gallery(outcome, net, data), "Before, the noise, and after")
    beside = compare_paired([fooled["pgd"][-1]], [fooled["noise"][-1]])
    lab.answer(
        f"Noise made by the gradient, at most {budgets[-1].epsilon:g} a pixel, makes the net see "
        f"the class aimed at in {share(fooled['pgd'][-1])}, with a probability of {SURE} or more "
        f"in {share(confident)}.",
        f"Random noise of that size does so in {share(fooled['noise'][-1])}, "
        f"{points(*beside[:3])} between them: "
        f"{'the direction fools, not the amount' if beside.sign > 0 else 'within noise'}.",
    )
    return sure


def from_noise(lab: Lab, net: rnnprobe.KerasClassifier, sure: np.ndarray) -> None:
    """Make inputs from noise, anywhere and close to a sure picture."""
    data, starts, steps = lab.data, lab.sizes.starts, lab.sizes.steps
    lab.question(
        "Which inputs, made from noise, does the net take for a given digit?",
        f"`synthesize` starts {starts} times from noise and descends, in the pixels, the sum of "
        "squared differences between output and wished output, until the digit has a probability "
        f"of 0.99 (at most {steps} steps).",
    )
    settings = Synthesis(starts=starts, steps=steps, cost="sum-of-squares")
    made = [synthesize_class(net, data, t, settings=settings) for t in range(data.num_classes)]
    rows, far = [], []
    for name, one in zip(data.class_names, made, strict=True):
        done = one.result.converged
        steps = f"{np.median(one.result.steps[done]):g}" if done.any() else None
        rows.append((name, int(done.sum()), len(done), steps))
        far += one.nearest[1][done].tolist()
    lab.table(["digit", "converged", "starts", "steps (median)"], rows)
    digit = min(3, data.num_classes - 1)
    one = synthesize_report(made[digit], title="", dataset=data)
    lab.report(one, "usual_distance", rows=0)
    lab.picture("noise.png", synthesis_figure(made[digit], data), "Made from noise")
    source = next(int(index) for index in sure if data.test.y[index] != digit)
    sneaky = synthesize_class(net, data, digit, source=source, settings=settings)
    lab.text.append(f"A sneaky one also stays close to a picture, here to test picture {source}:")
    one = synthesize_report(sneaky, title="", dataset=data)
    lab.report(one, "converged", "not_converged", "closest", rows=0)
    lab.picture("sneaky.png", synthesis_figure(sneaky, data), "Close to a given picture")
    converged = np.concatenate([one.result.converged for one in made])
    beyond = np.array(far) > np.quantile(made[0].usual, 0.95)
    lab.answer(
        f"{share(converged)} of the starts from noise end in what the net takes for the digit, and "
        f"{share(sneaky.result.converged)} of those close to a picture.",
        f"Of the former, {share(beyond)} are farther (L2) from every training picture than 95 % of "
        f"the test pictures; in the median {np.median(far):.1f} beside "
        f"{np.median(made[0].usual):.1f}."
        if far
        else "",
    )


def main() -> None:
    """Ask all questions and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="mnist-5k", help="pictures, by name or path")
    parser.add_argument("--out", type=Path, default=Path("lab_report"), help="folder to write")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see it work")
    options, started = parser.parse_args(), time.perf_counter()
    sizes = QUICK if options.quick else SIZES
    data = rnnprobe.load_dataset(options.data, limit_examples=sizes["examples"])
    if data.image_shape is None:
        parser.error(f"--data got '{options.data}', expected pictures like mnist-5k.")
    lab = Lab(data, sizes, options.out)
    chosen = learning_rate(lab)
    rnns, lstms = cells(lab, chosen)
    one_minibatch(lab, rnns[0])
    confusions(lab, lstms)
    retrain(lab, lstms[0], chosen)
    from_noise(lab, lstms[0], targeted(lab, lstms[0]))
    parts = ", ".join(f"{len(part):,} {name}" for name, part in data.splits.items())
    seconds = time.perf_counter() - started
    text = [
        "# Recurrent nets that read digits",
        f"**Abstract.** Seven questions of a lab course, put to {data.name} ({parts} pictures, "
        f"digest {data.digest}). Intervals are of 95 %; no setting was chosen on the test part.",
        "\n".join(f"{number}. {answer}" for number, answer in enumerate(lab.answers, start=1)),
        *lab.text,
        f"_Written by examples/lab_report.py in {seconds:.0f} s. {made_by()}_\n",
    ]
    Path(lab.folder, "report.md").write_text("\n\n".join(text), encoding="utf-8")
    print(f"{len(lab.answers)} answers in {lab.folder / 'report.md'}")


if __name__ == "__main__":
    main()
