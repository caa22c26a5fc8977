"""Programs of the network slot: guest code, read as text and never imported."""
