"""OpenAI's Responses: one request with the whole conversation, and items as its answer."""
