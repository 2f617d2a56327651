"""One module for each row, or for rows that share their rounds: `measure` yields results as soon as it has them."""
