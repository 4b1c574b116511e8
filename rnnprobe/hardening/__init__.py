"""Training on other examples than the ordinary ones, judged beside a control."""

from __future__ import annotations

ARMS = {
    "pgd": "rnnprobe.hardening.arms:pgd_source",
    "fgsm": "rnnprobe.hardening.arms:fgsm_source",
    "mistakes": "rnnprobe.hardening.mistakes:mistakes_arms",
}
"""By name what makes the arms: of a budget a source of examples, of mined mistakes several arms."""

MISTAKES = "mistakes"
"""The one name of `ARMS` that needs mined mistakes in place of a budget."""
