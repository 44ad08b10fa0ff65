"""The child process that owns a pipeline. Started as ``python -P -m tuner.worker``; imported by nobody."""
