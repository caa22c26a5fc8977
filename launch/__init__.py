"""Launch scripts: parse flags, build objects, call evo_clrs."""
