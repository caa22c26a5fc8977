"""How a small language model of our own is made: its corpus, its tokenizer, its training."""
