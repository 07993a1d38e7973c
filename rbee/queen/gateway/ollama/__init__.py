"""Ollama's protocol: chat, generate, embed, and the models that there are."""
