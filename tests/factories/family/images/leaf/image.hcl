description = "A grandchild"
parent      = "left"
