"""What every Throughline service stands on."""
