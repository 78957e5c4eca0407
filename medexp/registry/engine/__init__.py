"""Runtimes of exported graphs. Nothing here needs TensorFlow or Keras, but `saved_model`, which is TensorFlow's own."""
