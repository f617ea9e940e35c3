"""amifactory builds machine images for autoscaled CI workers on AWS and proves that they work."""
