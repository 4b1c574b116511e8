"""Records to reports and pictures: one module a command, no Keras."""
