"""What people see in a browser: the first page, the API documents, the list of problems."""
