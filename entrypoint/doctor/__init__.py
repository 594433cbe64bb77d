"""`gh-runner check`: finds what is wrong before a runner does, without registering anything."""
