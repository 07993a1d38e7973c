"""The API keys that open the queen: the operator's own, and those with names."""
