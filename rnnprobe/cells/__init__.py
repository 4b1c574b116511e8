"""Recurrent cells by name; each module has `build(units, **options) -> keras.layers.Layer`.

The options are those of `keras.layers.RNN` that `build_model` sets: `return_sequences`,
`dropout`, `recurrent_dropout`, initializers, and `ModelSpec.cell_options`.
"""

CELLS = {
    "rnn": "rnnprobe.cells.rnn:build",
    "lstm": "rnnprobe.cells.lstm:build",
    "gru": "rnnprobe.cells.gru:build",
}

__all__ = ["CELLS"]
