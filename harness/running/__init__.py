"""How the whole specification is run: in parallel parts, counted at the end."""
