"""Clustering: candidates, the choice among them, and what fitted clusters answer."""
