"""Priors of codes, and how potentials are combined with them."""
