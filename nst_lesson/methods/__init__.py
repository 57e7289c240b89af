"""What is minimized and how: losses and objective, optimization of pixels, training, measures of a result."""
