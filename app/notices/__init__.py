"""What leaves the machine to tell people: messages by apprise, and pings of dead-man services."""
