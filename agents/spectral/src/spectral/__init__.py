"""An agent that describes windows of numbers by their spectrum and their shape."""
