"""Static quantisation to 8-bit integers."""
