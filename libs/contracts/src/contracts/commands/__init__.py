"""What may be asked of each service, over HTTP and on inbound topics alike."""
