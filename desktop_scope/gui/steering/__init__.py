"""The parts of the steering panel, one file each."""
