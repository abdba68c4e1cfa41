"""The contract as files, for readers in any language: JSON Schemas, AsyncAPI, a handbook."""
