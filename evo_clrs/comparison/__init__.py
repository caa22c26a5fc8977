"""Trained programs compared with a baseline, by task and seed, and with published scores."""
