"""What a classifier gets wrong."""

PROBES = ("pairs", "classes", "slices", "calibration", "decisions", "labels")
"""What can be asked of the mistakes of one model."""

DEFAULT_PROBES = tuple(name for name in PROBES if name != "labels")
"""All that train no models."""
