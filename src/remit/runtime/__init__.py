"""How it is wired: workspaces, the cycle, the command line."""
