"""The command line: one module per command group; parse, one call, render."""
