"""Help in the program: pages about every panel, a glossary, sources, and what it is made of."""
