"""Curves made short, shot and averaged."""
