"""The grammar operator: writes programs from parents by typed edits, without a language model.

A program is parsed, its shapes are inferred with symbols for dimensions (`shapes`), one to three
edits change the tree where shapes allow it (`edits`), and the result is cleaned and written out
(`clean`). Nothing here runs a program or knows JAX.
"""
