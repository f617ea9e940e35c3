"""What is known of a build, as one page: pure values in, text out; `operations.report` gathers the facts."""
