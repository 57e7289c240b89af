"""The command `nst-lesson`: main lists what it can do; larger commands have a module each."""
