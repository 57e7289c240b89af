"""Pixels: pictures in and out, photographs to train on, colors. No networks."""
