"""What a person on the machine itself asks: detect, status and models."""
