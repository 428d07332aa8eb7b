"""First and second derivatives of row-wise maps; knows nothing of what they are for."""
