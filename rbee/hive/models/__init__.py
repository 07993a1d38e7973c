"""The models of this node: what is here, and what is fetched."""
