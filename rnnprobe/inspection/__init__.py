"""What happens inside a classifier, step by step."""
