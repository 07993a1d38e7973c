"""Another machine, reached by SSH."""
