"""Parts of the state, one file for each area of the window."""
