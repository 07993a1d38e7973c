"""The node's devices and memory, and which model fits on which."""
