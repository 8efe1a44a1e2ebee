"""What is known about features: examples, histograms, labels, search. No Qt."""
