"""What a person adds to features: labels of their own and imported ones, notes, stars, lists."""
