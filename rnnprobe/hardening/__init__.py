"""Training that is meant to make a model harder to fool, judged beside a control."""

from __future__ import annotations

ARMS = {
    "pgd": "rnnprobe.hardening.arms:pgd_source",
    "fgsm": "rnnprobe.hardening.arms:fgsm_source",
}
"""By the name of an arm what makes its source of examples out of a budget."""
