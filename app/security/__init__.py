"""Who asks: secrets, tokens, passwords, and how often somebody may guess."""
