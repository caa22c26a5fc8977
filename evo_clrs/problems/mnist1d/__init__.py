"""MNIST-1D: short one-dimensional signals of ten classes, classified by a whole network."""
