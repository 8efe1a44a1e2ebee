"""Gathers evidence about the features of any open SAEs from text: one pass, bounded memory.

corpus (text to rows of tokens) → gather (what is kept of each feature) → writer (files that
``evidence.own`` reads); checkpoint keeps the state between them on disk, builder runs them.
"""
