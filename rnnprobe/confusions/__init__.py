"""What a classifier gets wrong."""
