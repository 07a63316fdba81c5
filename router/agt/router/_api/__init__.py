"""A router's HTTP API in parts: the socket, the server, and a module for each group of routes.

A group of routes is a module with a function `routes(router)`; `agt.router.serving` lists them. Importing any of this
needs the `router` extra.
"""
