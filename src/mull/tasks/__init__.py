"""Where problems come from: the embedded world, plain-text tasks, files and the hub; and which one is next."""
