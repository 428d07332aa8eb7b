"""Estimators: they check input, loop and store."""
