"""Statements -> a page: one typed context, one template a language."""
