"""Clusters and densities of a metric."""
