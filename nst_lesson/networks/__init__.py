"""Frozen feature extractors and the networks that paint in one pass, with their weights. No losses."""
