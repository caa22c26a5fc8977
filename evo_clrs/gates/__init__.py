"""What a program must pass before it is trained: text first, then the traced graph."""
