"""The Hub of a world: a server that speaks huggingface.co's HTTP, and breaks on request."""
