"""The command line and the flows behind it."""
