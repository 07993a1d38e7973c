"""llama.cpp through its low-level API, and the text around it: chat template and text stream."""
