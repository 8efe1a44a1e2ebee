"""What is on this machine: models, SAEs and packs; how they are found, converted and opened."""
