"""rbee on this computer: its programs, folders, config file and systemd units."""
