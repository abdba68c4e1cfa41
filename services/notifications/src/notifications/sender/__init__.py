"""The sender role: what leaves the house. Rendering, the mail server, and the loop that joins them to the decider."""
