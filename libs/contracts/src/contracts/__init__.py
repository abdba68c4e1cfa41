"""The public events, documents and commands of Throughline."""
