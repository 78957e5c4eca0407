"""The service: the champion of the registry behind HTTP. Knows bundles and images, not Keras, TensorFlow or Hydra."""
