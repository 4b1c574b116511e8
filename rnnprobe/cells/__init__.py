"""Recurrent cells by name; each module has `build(units, **options) -> keras.layers.Layer`.

The options are those of `keras.layers.RNN` that `build_model` sets: `return_sequences`,
`dropout`, `recurrent_dropout`, initializers, and `ModelSpec.cell_options`. Of the initializers
`joint_kernel_initializer` is none of Keras's: `glorot_uniform` there draws the kernels of inputs
and states of an rnn or lstm as one matrix, as TensorFlow 1 did.
"""

CELLS = {
    "rnn": "rnnprobe.cells.rnn:build",
    "lstm": "rnnprobe.cells.lstm:build",
    "gru": "rnnprobe.cells.gru:build",
}

__all__ = ["CELLS"]
