"""The native API: routes that parse, make one call to the core, and render. The native shapes are known only here."""
