"""The demo: a sample organisation, some two thousand requests through the public doors, and the books at the end."""
