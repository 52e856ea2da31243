"""Who a requester is: key ring, tokens, passwords, and attempts; import the class of each module."""
