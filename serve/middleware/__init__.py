"""What surrounds every request: headers, an id and a log line, a limit."""
