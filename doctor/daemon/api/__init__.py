"""The daemon's answering side: HTTP and JSON on a Unix socket, and on a loopback port where that is asked for."""
