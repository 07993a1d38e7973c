"""What llama.cpp's server has beside OpenAI's protocol: tokens, templates, slots, raw prompts."""
