"""llama.cpp, and the model's own chat template."""
