description = "Another child"
parent      = "base"
