"""Search over configurations, on KerasTuner."""

TUNERS = ("hyperband", "bayesian", "random")

METRICS = ("val_accuracy", "val_loss", "test_accuracy", "test_loss", "accuracy", "loss", "seconds")

__all__ = ["METRICS", "TUNERS"]
