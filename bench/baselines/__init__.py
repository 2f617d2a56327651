"""What the service is compared with: small programs that do the same work in the way people usually write it."""
