"""A GGUF model's header, read and checked before the model is loaded or fetched."""
