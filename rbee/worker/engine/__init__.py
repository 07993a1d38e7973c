"""The thread that owns llama.cpp: it loads the model and computes all requests, step by step."""
