"""What a person sees: figures, sliders, widgets, masks to paint."""
