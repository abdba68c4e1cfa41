"""The pytest plugin of Throughline: servers, clock, chaos, builders."""
