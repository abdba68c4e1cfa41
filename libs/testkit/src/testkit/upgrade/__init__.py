"""Two releases of the product under load, exchanged for each other while everybody works."""
