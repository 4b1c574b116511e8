"""What a classifier gets wrong."""

PROBES = ("pairs", "classes", "slices", "calibration", "decisions", "labels")
"""What can be asked of the mistakes of one model."""
