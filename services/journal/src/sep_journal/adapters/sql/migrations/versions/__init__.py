"""One module a version; a released one never changes."""
