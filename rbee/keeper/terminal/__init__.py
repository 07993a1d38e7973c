"""What a person types at the terminal."""
