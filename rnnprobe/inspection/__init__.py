"""What happens inside a classifier, step by step."""

PARTS = ("activations", "gates", "gradients", "decisions", "weights", "attribution")
"""What can be asked of the inside of a model."""

SEVERAL_PARTS = tuple(name for name in PARTS if name != "attribution")
"""What can be asked of several models side by side."""
