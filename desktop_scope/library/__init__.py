"""What is on this machine: the demo model, found, fetched and converted once."""
