"""The schema of workflow, step by step."""
