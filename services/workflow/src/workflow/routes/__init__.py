"""Reads over HTTP: requests, and what they are made of."""

from chassis.http import Routes
from workflow.routes import catalogue, details, requests
from workflow.routes.looking import sees

__all__ = ["router", "sees"]

router = Routes("workflow")
for resource in (requests, details, catalogue):
    resource.serve(router)
