description = "A child"
parent      = "base"
