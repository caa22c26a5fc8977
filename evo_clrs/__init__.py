"""Language models write neural-network code; evolution keeps what works."""
