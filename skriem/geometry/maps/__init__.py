"""Maps from coordinates to where lengths are Euclidean."""
