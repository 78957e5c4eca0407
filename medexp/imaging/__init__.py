"""Bytes to pixels: the one way in which training and serving see an image. No TensorFlow here."""
