"""How chords are measured: through maps, by tensors, in tables."""
