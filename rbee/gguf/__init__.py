"""A GGUF model's header, read and checked before anything is loaded or fetched: `reading`."""
