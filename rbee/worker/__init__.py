"""llm-worker-rbee: an HTTP daemon that holds one GGUF model and answers many requests at once."""
