"""The daemon: watches, remembers incidents, and runs the services that the command puts together.

``service`` says what a service is, ``runner`` owns them and the process's life, ``watch`` turns samples into
incidents, ``incident_import`` takes over what programs wrote down without a daemon.
"""
