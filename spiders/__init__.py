"""The publishers, one module each."""
