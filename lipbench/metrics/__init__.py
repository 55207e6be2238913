"""One file per metric family; `sync` holds the SyncNet judge."""
