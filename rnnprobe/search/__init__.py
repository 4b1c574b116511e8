"""Search over configurations, on KerasTuner."""

TUNERS = ("hyperband", "bayesian", "random")

__all__ = ["TUNERS"]
