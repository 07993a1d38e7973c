"""The part of an installation that runs on the node; `node_python` sends it there as text."""
