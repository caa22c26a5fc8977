"""Design spaces: cells, macro networks and sizes, looked up in tables or trained for real."""
