"""What the commands do: each gathers facts, makes a plan, applies it."""
