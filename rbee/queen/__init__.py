"""queen-rbee: an HTTP daemon that knows the nodes, decides where work goes and relays answers."""
