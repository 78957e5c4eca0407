"""Sources of images, their splits, and the data module that feeds a network."""
