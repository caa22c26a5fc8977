"""The one place where evolved Python runs: a confined child of a warm process."""
