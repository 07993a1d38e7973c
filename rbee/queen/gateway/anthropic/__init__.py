"""Anthropic's protocol: messages, their tokens counted, and models."""
