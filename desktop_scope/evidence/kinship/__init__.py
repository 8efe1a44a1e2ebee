"""Families: what a feature splits into in a finer dictionary, and what it came from."""
