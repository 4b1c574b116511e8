"""Answer seven questions about recurrent nets that read digits, and write a lab report.

Which learning rate, LSTM or SimpleRNN, which digits are mistaken and why, does training on the
mistakes help, which noise fools the net, and what does it take for a three?

Run it by `python examples/lab_report.py`; on two cores it takes twenty minutes, with `--quick`, to
see it work, one. The report and its pictures go to the folder `lab_report`, or to `--out FOLDER`.
"""

import argparse
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.spatial.distance import cdist
from tabulate import tabulate

import rnnprobe
from rnnprobe import KerasClassifier
from rnnprobe.attacks.noise import Noise
from rnnprobe.attacks.pgd import PGD
from rnnprobe.reports.attack import attack_report
from rnnprobe.reports.confusions_models import confusions_models_report
from rnnprobe.reports.harden import harden_report
from rnnprobe.reports.sweep import sweep_report
from rnnprobe.statistics import compare_means, holm, wilson_interval
from rnnprobe.table import Report, markdown_table, p_text

# How much is tried; `--quick` is there to see it work, and not to be believed.
FULL = {"examples": None, "rates": [1e-4, 1e-3, 1e-2, 1e-1], "batches": [32, 128, 256]}
FULL |= {"units": 128, "epochs": 8, "repeats": 5, "starts": 10, "steps": 500}
QUICK = {"examples": 100, "rates": [1e-3, 1e-2], "batches": [32]}
QUICK |= {"units": 16, "epochs": 2, "repeats": 2, "starts": 2, "steps": 20}


class Lab:
    """The data, the sizes, and the report as far as it is written."""

    def __init__(self, sizes: dict[str, Any], folder: Path) -> None:
        self.data = rnnprobe.load_dataset("mnist-5k", limit_examples=sizes["examples"])
        self.sizes, self.folder = SimpleNamespace(**sizes), folder
        self.text, self.answers = [], []
        folder.mkdir(parents=True, exist_ok=True)

    def ask(self, question: str, done: str) -> None:
        """Begin a section: what is asked, and what is done."""
        print(f"{time.strftime('%X')} {question}", flush=True)
        self.text += [f"## {len(self.answers) + 1}. {question}", done]

    def report(self, report: Report, *keys: str) -> dict[str, str]:
        """Write the table of a report and its sentences of these keys; return all sentences."""
        said = {found.key: found.sentence for found in report.findings}
        self.text.append(markdown_table(report.shown or report.main))
        if keys:
            self.text.append("\n".join(f"- {said[key]}" for key in keys if key in said))
        return said

    def pictures(self, name: str, heading: str, shown: dict[str, np.ndarray], wide: int) -> None:
        """Draw pictures by caption, so many a row; a change is blue where it takes ink away."""
        rows = max(1, -(-len(shown) // wide))
        figure = Figure(figsize=(1.3 * wide, 1.65 * rows + 0.4), layout="constrained")
        for place, (caption, x) in enumerate(shown.items(), start=1):
            axes = figure.add_subplot(rows, wide, place, xticks=[], yticks=[])
            colours = ("RdBu_r", -abs(x).max(), abs(x).max()) if x.min() < 0 else ("gray_r", 0, 1)
            axes.imshow(x, **dict(zip(("cmap", "vmin", "vmax"), colours, strict=True)))
            axes.set_title(caption, fontsize=8)
        figure.suptitle(heading, fontsize=10)
        figure.savefig(self.folder / name, dpi=110)
        self.text.append(f"![{heading}]({name})")

    def answer(self, answer: str) -> None:
        """Write the answer, here and into the abstract."""
        self.text.append(f"**Answer.** {answer}")
        self.answers.append(answer)


def share(hits: np.ndarray) -> str:
    """Return a share of bools with its 95 % interval and the counts behind it."""
    count, total = int(np.sum(hits)), len(hits)
    low, high = wilson_interval(count, total)
    return f"{count / total:.3f} [{low:.3f}, {high:.3f}] ({count} of {total})"


def learning_rate(lab: Lab) -> dict[str, Any]:
    """Return the learning rate and the batch size that validation prefers."""
    sizes = lab.sizes
    lab.ask(
        "Which learning rate, and which batch size?",
        f"Validation accuracy of a SimpleRNN of {sizes.units} units (rows as steps, Adam, "
        f"{sizes.epochs} epochs), mean ± standard deviation; ≈ cannot be told from the best.",
    )
    axes = {"learning_rate": sizes.rates, "batch_size": sizes.batches}
    space = rnnprobe.SearchSpace(cell="rnn", units=sizes.units, **axes)
    swept = rnnprobe.sweep(lab.data, space, repeats=sizes.repeats, epochs=sizes.epochs)
    said = lab.report(sweep_report(swept, lab.data), "test", "tied")
    lab.answer(f"{said['best']}. {said['importance']}.")
    return {name: swept.ranking()[0].configuration[name] for name in axes}


def cells(lab: Lab, chosen: dict[str, Any]) -> list[list[KerasClassifier]]:
    """Return the SimpleRNNs and the LSTMs, one a seed."""
    data, repeats = lab.data, lab.sizes.repeats
    lab.ask(
        "Is an LSTM five points better than a SimpleRNN, with nothing else changed?",
        f"Both cells with {repeats} fresh seeds, at the SimpleRNN's best learning rate and batch "
        "size. The interval of the difference covers other seeds and other test pictures.",
    )
    space = rnnprobe.SearchSpace(cell=["rnn", "lstm"], units=lab.sizes.units, **chosen)
    settings = {"repeats": repeats, "seed": repeats, "epochs": lab.sizes.epochs}
    with tempfile.TemporaryDirectory() as folder:
        how = rnnprobe.Execution(run_dir=Path(folder), save_models=True)
        swept = rnnprobe.sweep(data, space, execution=how, **settings)
        files = [[swept.model_file(run) for run in cell.runs] for cell in swept.cells]
        nets = [[KerasClassifier(rnnprobe.load_model(file)) for file in group] for group in files]
    said = [net.predict(data.test, data.class_names) for group in nets for net in group]
    groups = [range(repeats), range(repeats, 2 * repeats)]
    found = rnnprobe.compare_models(said, groups).groups[0].difference
    lab.report(sweep_report(swept, data, metric="test_accuracy"))
    gain, low, high = (100 * part for part in (found.difference, *found.interval))
    lab.answer(
        f"LSTM less SimpleRNN: {gain:+.1f} points [{low:+.1f}, {high:+.1f}] of test accuracy "
        f"(p = {p_text(found.p_value)}); five points {'lie' if low <= 5 <= high else 'do not lie'} "
        f"there. Parameters: {swept.cells[1].parameters:,} and {swept.cells[0].parameters:,}."
    )
    return nets


def one_minibatch(lab: Lab, net: KerasClassifier, size: int = 32) -> None:
    """Measure a net on its training part, minibatch by minibatch."""
    data = lab.data
    lab.ask(
        "What does a training accuracy of 1.000 on a small batch say?",
        f"The first SimpleRNN, on random minibatches of {size} that make up the training part.",
    )
    train, test = (
        net.predict(part, data.class_names).predicted == part.y for part in (data.train, data.test)
    )
    order = np.random.default_rng(0).permutation(train)
    cut = order[: len(order) // size * size].reshape(-1, size).mean(axis=1)
    lab.answer(
        f"{(cut == 1).sum()} of {len(cut)} minibatches have 1.000, the lowest has {cut.min():.3f}; "
        f"the whole training part has {train.mean():.3f}, the test part {share(test)}. {size} of "
        f"{size} is compatible with any accuracy from {wilson_interval(size, size).low:.3f} on."
    )


def confusions(lab: Lab, nets: list[KerasClassifier]) -> None:
    """Find the pairs that all nets confuse, and show the pictures."""
    data, names = lab.data, lab.data.class_names
    lab.ask(
        "Which digits are mistaken for others, and have the mistaken pictures something in common?",
        f"The {len(nets)} LSTMs, alike but for the seed, on the test part.",
    )
    said = [net.predict(data.test, names) for net in nets]
    found = rnnprobe.find_stable(said)
    alike = {"names": [f"LSTM {number}" for number in range(len(nets))], "same_settings": True}
    report = confusions_models_report(found, **alike, dataset=data, top=6)
    lab.report(report, "accuracy", "wrong_in_every_model", "verdicts")
    often, shown = found.times_wrong > len(nets) / 2, {}
    for index in np.flatnonzero(often)[:12]:
        taken = " ".join(names[one.predicted[index]] for one in said)
        shown[f"{index}: {names[data.test.y[index]]}\ntaken for {taken}"] = data.test.x[index]
    heading = f"{len(shown)} of the {often.sum()} test pictures that most LSTMs get wrong"
    lab.pictures("mistakes.png", heading, shown, wide=6)
    stable = [pair for pair in found.pairs if pair.verdict == "stable"]
    pairs = ", ".join(f"{names[pair.true]} for {names[pair.predicted]}" for pair in stable)
    differ = in_common(lab, often, np.mean([one.confidence for one in said], axis=0))
    lab.answer(f"Mistaken by every LSTM (stable): {pairs or 'none was measured'}. {differ}")


def in_common(lab: Lab, often: np.ndarray, confidence: np.ndarray) -> str:
    """Compare the pictures that most models mistake with the others, and say what differs."""
    train, test = lab.data.train, lab.data.test
    if min(often.sum(), (~often).sum()) < 2:
        return "Too few pictures are wrong in most models to say what they have in common."
    far = cdist(test.x.reshape(len(test), -1), train.x.reshape(len(train), -1))
    measures = {
        "confidence of the answer": confidence,
        "L2 distance to the nearest training picture": far.min(axis=1),
        "nearest training picture is of another class": train.y[far.argmin(axis=1)] != test.y,
    }
    found = [compare_means(one[often] * 1.0, one[~often] * 1.0) for one in measures.values()]
    adjusted, rows = holm([one.p_value for one in found]), []
    for (name, values), one, p in zip(measures.items(), found, adjusted, strict=True):
        difference = "{:+.3f} [{:+.3f}, {:+.3f}]".format(one.difference, *one.interval)
        rows.append((name, values[often].mean(), values[~often].mean(), difference, p_text(p)))
    titles = [f"{often.sum()} wrong in most", f"{(~often).sum()} others", "difference [95 %]"]
    lab.text.append(tabulate(rows, ["mean", *titles, "p (Welch, Holm)"], "pipe", floatfmt=".3f"))
    differ = [name for name, p in zip(measures, adjusted, strict=True) if p < 0.05]
    return f"What most get wrong differs in: {', '.join(differ) or 'nothing that was measured'}."


def retrain(lab: Lab, net: KerasClassifier) -> None:
    """Train on mistakes beside controls."""
    lab.ask(
        "Can the misclassified pictures be made into a training set that raises test accuracy?",
        "Which training pictures are mistaken, models tell that had not seen them (five folds). "
        "`harden` goes on training the first LSTM on these alone, on as many random ones of the "
        "same classes, on all with the mistakes five times, on all but suspected labels, and on "
        f"all (the control); each with as many updates, {lab.sizes.repeats} times.",
    )
    found = rnnprobe.harden(net, lab.data, None, ("mistakes",), repeats=lab.sizes.repeats)
    keys = ("mistakes_only_random_subset", "mistakes_only_control", "mistakes_x5_control")
    said = lab.report(harden_report(found, lab.data, title="the LSTM"), *keys, "mined", "tested")
    lab.answer(said["answer"].partition("? ")[2] + ".")


def targeted(lab: Lab, net: KerasClassifier) -> None:
    """Aim sure answers at wrong classes."""
    data, names = lab.data, lab.data.class_names
    said = net.predict(data.test, names)
    right = np.flatnonzero(said.predicted == data.test.y)
    sure = right[np.argsort(-said.confidence[right], kind="stable")[:100]]
    part, before = data.test.take(sure), said.confidence[sure]
    lab.ask(
        "Which noise turns a confidently right answer into a confidently wrong one?",
        f"Random noise (ten draws) beside noise made by the gradient (PGD), on the {len(sure)} "
        f"right answers that the first LSTM is surest of (probability {before.min():.3f} or more),"
        " each aimed at a random wrong class. No pixel, from 0 to 1, changes by more than epsilon.",
    )
    budgets = [rnnprobe.Budget(epsilon, "linf", data.bounds) for epsilon in (0.03, 0.1, 0.2)]
    attacks = {"noise": Noise(targeted=True), "pgd": PGD(targeted=True)}
    study = rnnprobe.study_attacks(net, part, attacks, [budgets], targeted=True)
    lab.report(attack_report(study, title="the LSTM", dataset=data), "checks_linf")
    targets, fooled = study.outcomes[0].targets, study.outcomes[0].fooled
    # The study stops where the class is reached; here PGD goes on to where the net is surest.
    pgd = PGD(targeted=True, stop_early=False)
    x = rnnprobe.run_attack(pgd, net, part, budgets[-1], targets=targets).examples
    after = net.predict(rnnprobe.Split(x, targets), names).probabilities
    reached, shown = after[np.arange(len(sure)), targets], {}
    for row in np.flatnonzero(reached >= 0.9)[::15][:4]:
        shown[f"{sure[row]}: {names[part.y[row]]} ({before[row]:.3f})"] = part.x[row]
        shown[f"noise on {sure[row]}"] = x[row] - part.x[row]
        shown[f"{sure[row]}: {names[targets[row]]} ({reached[row]:.3f})"] = x[row]
    lab.pictures("targeted.png", "Before, noise of at most 0.2, and after", shown, wide=6)
    lab.answer(
        "Noise made by the gradient, at most 0.2 a pixel, makes this net see the class aimed at "
        f"in {share(fooled['pgd'][-1])}, with a probability of 0.9 or more in "
        f"{share(reached >= 0.9)}; random noise of that size in {share(fooled['noise'][-1])}."
    )


def from_noise(lab: Lab, net: KerasClassifier) -> None:
    """Make inputs from noise, anywhere and close to a given picture."""
    data, starts = lab.data, lab.sizes.starts
    settings = rnnprobe.Synthesis(starts=starts, steps=lab.sizes.steps, cost="sum-of-squares")
    lab.ask(
        "Which inputs, made from noise, does the net take for a given digit?",
        "From noise we descend, in the pixels, the sum of squared differences between output and "
        "wished output of the first LSTM, until the digit has a probability of 0.99 (at most "
        f"{settings.steps} steps). L2 is the distance to the nearest training picture, over all "
        "starts. A sneaky one also stays close to a picture, the first of the test part.",
    )
    made = [rnnprobe.synthesize_class(net, data, t, settings=settings) for t in range(10)]
    sneaky = rnnprobe.synthesize_class(net, data, 3, source=0, settings=settings)
    rows, shown, source = [], {}, data.test.x[0]
    for name, one in zip([*data.class_names, "sneaky 3"], [*made, sneaky], strict=True):
        result, far, best = one.result, one.nearest[1], one.result.ranking(one.target)[0]
        rows.append((name, result.converged.sum(), np.median(result.steps), min(far), max(far)))
        shown[f"{name} ({result.probabilities[best, one.target]:.3f})"] = result.x[best]
    shown |= {"sneaky change": result.x[best] - source, "sneaky's picture": source}
    titles = ["digit", f"converged of {starts}", "steps (median)", "L2 from", "L2 to"]
    lab.text.append(tabulate(rows, titles, "pipe", floatfmt=("", "", "g", ".1f", ".1f")))
    lab.pictures("noise.png", "The best start of each, and its probability", shown, wide=5)
    fewest, nearest = min(row[1] for row in rows[:-1]), min(row[3] for row in rows[:-1])
    lab.answer(
        f"Of {starts} starts {fewest} or more converge for each digit, and {rows[-1][1]} close to "
        f"the picture. From noise all end {nearest:.1f} or farther from every training picture; of "
        f"{len(sneaky.usual)} test pictures 95 % are within {np.quantile(sneaky.usual, 0.95):.1f} "
        f"of one. The best sneaky one is {result.distance[best]:.1f} from its picture."
    )


def main(arguments: list[str] | None = None) -> None:
    """Ask all questions and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("lab_report"), help="folder to write")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see it work")
    options, started = parser.parse_args(arguments), time.perf_counter()
    if (options.out / "report.md").exists():
        parser.error(f"{options.out / 'report.md'} exists; give another --out.")
    quick = " **Tiny sizes, to see it work: nothing here is to be believed.**"
    lab = Lab(QUICK if options.quick else FULL, options.out)
    rnns, lstms = cells(lab, learning_rate(lab))
    one_minibatch(lab, rnns[0])
    confusions(lab, lstms)
    retrain(lab, lstms[0])
    targeted(lab, lstms[0])
    from_noise(lab, lstms[0])
    text = [
        "# Recurrent nets that read digits",
        f"**Abstract.** Seven questions put to {lab.data.name} ({len(lab.data.train):,} training, "
        f"{len(lab.data.test):,} test pictures). Intervals are of 95 %; test chose no setting."
        f"{quick if options.quick else ''}",
        "\n".join(f"{number}. {answer}" for number, answer in enumerate(lab.answers, start=1)),
        *lab.text,
        f"_rnnprobe {rnnprobe.__version__}, {time.perf_counter() - started:.0f} s_\n",
    ]
    Path(lab.folder, "report.md").write_text("\n\n".join(text), encoding="utf-8")
    print(f"{len(lab.answers)} answers in {lab.folder / 'report.md'}")


if __name__ == "__main__":
    main()
