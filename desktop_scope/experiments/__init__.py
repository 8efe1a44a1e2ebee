"""Studies made of many runs of the model. No Qt."""
