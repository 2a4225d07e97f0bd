"""The portfolio of a workspace: every pilot on file, collisions, what each would do alone and all do together, and shadows beside what a company does."""
