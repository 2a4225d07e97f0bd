"""What the words mean: frozen types of the domain, the dictionary of facts, canonical encoding. Standard library only."""
