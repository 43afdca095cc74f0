"""Files at any address, written whole or not at all, and a local cache of remote ones."""
