"""Everything that looks at the programs from outside."""
