"""The other machines of a world, reached over SSH."""
