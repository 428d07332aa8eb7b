"""Trained networks as maps that metrics are pulled back through."""
