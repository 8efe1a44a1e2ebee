"""The window. Never imports torch: the engine runs on a worker thread that does."""
