"""What a trained network is good for: one module a use, and what grades it."""
