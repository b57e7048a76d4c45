"""What both services agree on. Imports neither of them."""
