"""One module per thing AWS has; its dictionaries stop here."""
