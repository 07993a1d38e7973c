"""What one scenario has for itself: HOME, network, settings, programs, and the check at its end."""
