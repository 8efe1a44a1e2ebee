"""Studies made of many runs: what strength costs and brings, and what controls say to it."""
