"""Worker calls: claims, and reports under a lease."""
