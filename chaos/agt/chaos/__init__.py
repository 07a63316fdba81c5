"""Break it on purpose: faults for real sockets, the simulated world, checkers, replay and the demo.

The door opens no room by itself: import `agt.chaos.proxy`, `agt.chaos.sim`, `agt.chaos.checkers` and so on, so that
a controller's tests load only what they use. Nothing outside this package may import it.
"""
