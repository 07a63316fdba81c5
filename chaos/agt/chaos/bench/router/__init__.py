"""How fast the router is: decisions, memory, what routing adds to a message, and how long a change of route takes."""
