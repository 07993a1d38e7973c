"""What is wrong with an installation, from facts that others have gathered."""
