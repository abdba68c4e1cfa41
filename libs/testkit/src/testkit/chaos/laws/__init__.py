"""What must be true of a run whatever failed, one file a subject: evidence in, (name, where, evidence) out."""
