"""Chat templates: rendered in processes of their own, and those of families for models without."""
