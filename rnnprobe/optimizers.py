"""Optimizers and losses by name: plain data, so that the command line can list them."""

OPTIMIZERS = {
    "adam": "keras.optimizers:Adam",
    "rmsprop": "keras.optimizers:RMSprop",
    "sgd": "keras.optimizers:SGD",
    "momentum": "keras.optimizers:SGD",
    "adagrad": "keras.optimizers:Adagrad",
    "adamw": "keras.optimizers:AdamW",
}

LOSSES = ("cross-entropy", "mean-squared-error")

__all__ = ["LOSSES", "OPTIMIZERS"]
