"""The workers of this node, from their start to their end."""
