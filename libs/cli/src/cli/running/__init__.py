"""A whole installation on this machine: servers, services, and what watches over them."""
