"""The training loop that all trained problems share."""
