"""The command line: thin functions over the other packages, imported only when their command runs."""
