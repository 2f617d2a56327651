"""What every HTTP edge shares: keys, bodies, errors, waits and cursors. No route lives here, and no vendor's shape."""
