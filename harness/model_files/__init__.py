"""GGUF files: the bundled model, its variants, large ones made of holes, and broken ones."""
