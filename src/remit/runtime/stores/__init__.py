"""Where the ledger's log is kept, apart from the workspace's folder: a module for each kind of database."""
