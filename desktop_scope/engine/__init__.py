"""The model and its SAEs: forward passes, encoding, decoding. Torch lives here; Qt never does."""
