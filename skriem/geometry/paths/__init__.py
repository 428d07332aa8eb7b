"""Shortest paths along graphs and grids."""
