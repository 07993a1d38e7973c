"""The CA of this machine, and the certificate that it signs for the queen."""
