"""An agent that makes vectors of texts with all-MiniLM-L6-v2 (Apache-2.0)."""
