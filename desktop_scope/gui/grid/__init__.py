"""What the panel of layers and tokens is made of."""
