"""Everything that breaks things around the programs."""
