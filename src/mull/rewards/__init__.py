"""What a completion is worth: rule rewards, every part kept."""
