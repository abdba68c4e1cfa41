"""pytest plugin: what tests of any member may ask for."""
