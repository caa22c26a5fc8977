"""Cells trained for real, where there is no table of their scores."""
