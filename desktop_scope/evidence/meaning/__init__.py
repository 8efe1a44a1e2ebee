"""Search by meaning: labels as vectors of a small sentence model, which is optional."""
