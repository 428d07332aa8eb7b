"""Metrics, as users see them."""
