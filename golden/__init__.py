"""Golden models: the mathematics of every design, on plain numbers and NumPy arrays."""
