"""The pages of the audit panel."""
