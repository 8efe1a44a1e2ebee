"""What is taken along: steering as files for other programs, and as a changed copy of a model."""
