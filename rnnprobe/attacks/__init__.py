"""Attacks by name: each makes a classifier err by a small change of its input."""

from __future__ import annotations

ATTACKS = {
    "noise": "rnnprobe.attacks.noise:Noise",
    "fgsm": "rnnprobe.attacks.fgsm:FGSM",
    "pgd": "rnnprobe.attacks.pgd:PGD",
    "mi-fgsm": "rnnprobe.attacks.mi_fgsm:MIFGSM",
    "apgd": "rnnprobe.attacks.apgd:APGD",
    "apgd-t": "rnnprobe.attacks.targeted_apgd:TargetedAPGD",
    "min-norm": "rnnprobe.attacks.minimal_norm:MinimalNorm",
    "square": "rnnprobe.attacks.square:Square",
    "hotflip": "rnnprobe.attacks.hotflip:HotFlip",
    "strong": "rnnprobe.attacks.strong:Strong",
}
TOKEN_ATTACKS = ("noise", "hotflip")
