"""OpenAI's protocol: chat, completions, embeddings, models; and reranking as Jina has it."""
