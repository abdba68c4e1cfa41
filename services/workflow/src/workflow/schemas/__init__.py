"""Bodies of answers, one file a group of routes."""
