"""The vendors' HTTP APIs on loopback, as faithful as Ripcord's stories need. Shares only sockets with the server."""
