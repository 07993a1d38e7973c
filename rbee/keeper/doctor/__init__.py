"""What is wrong with this computer and its nodes, and what to type."""
