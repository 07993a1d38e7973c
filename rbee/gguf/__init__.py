"""A GGUF file's header, read and checked before anything is loaded: `reading.read`."""
