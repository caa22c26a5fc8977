"""The record of a run: `run.sqlite`, `summary.json` and `best.py` in its folder."""

from evo_clrs.store.store import Event, Store
from evo_clrs.store.summary import summarise, write_best, write_summary

__all__ = ["Event", "Store", "summarise", "write_best", "write_summary"]
