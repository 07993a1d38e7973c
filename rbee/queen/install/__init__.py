"""rbee put on a node."""
