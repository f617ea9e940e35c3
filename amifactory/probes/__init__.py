"""Programs that amifactory runs on the instance it verifies, and how it runs them.

Each needs nothing but the instance's own Python, 3.9 or later, and is never written to its disk.
"""
