"""How the packaged language model is made: its corpus, its tokenizer, its training."""
