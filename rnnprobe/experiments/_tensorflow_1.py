"""What models of TensorFlow 1 began from, as `ModelSpec.initializers`."""

NORMAL_OUTPUT = {
    "output_kernel_initializer": {
        "class_name": "RandomNormal",
        "config": {"mean": 0.0, "stddev": 1.0},
    },
    "output_bias_initializer": {
        "class_name": "RandomNormal",
        "config": {"mean": 0.0, "stddev": 1.0},
    },
}
"""Weights and bias of the output layer by `tf.random_normal`."""

JOINT_KERNEL = {"joint_kernel_initializer": "glorot_uniform"}
"""One kernel of inputs and states, by Glorot's rule, as `BasicRNNCell` and `BasicLSTMCell` had."""
