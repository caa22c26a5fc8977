"""Programs of the slot `processor`, read as text."""
