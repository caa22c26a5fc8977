"""Programs of the slot `triplet`, read as text."""
