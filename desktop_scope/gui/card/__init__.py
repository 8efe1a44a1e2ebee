"""Parts of the feature card."""
