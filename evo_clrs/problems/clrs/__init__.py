"""The CLRS algorithmic reasoning benchmark: tasks, data, model, score."""
