"""Layered regression networks of binary units."""
