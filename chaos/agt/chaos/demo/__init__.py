"""The demo: a simulated fleet, a gateway and a daemon as processes, a plan, and an honest count at the end."""
