"""Remit: the open operating layer for AI in pharma commercial work."""
