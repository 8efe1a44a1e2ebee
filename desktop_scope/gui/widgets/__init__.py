"""Widgets that draw plain values and report the user's acts; they know no application state."""
