"""The node as it is: its hardware, its model files, its logs."""
