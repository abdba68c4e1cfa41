"""What the product costs and how fast it is, against a reference in the same run. Each module runs alone."""
