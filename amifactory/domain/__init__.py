"""Pure decisions: the image graph, fingerprints, staleness. Standard library only."""
