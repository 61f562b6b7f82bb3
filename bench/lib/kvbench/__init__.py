"""What the benchmark commands share: building, starting and stopping servers, loading, reporting.

Python's standard library only. Nothing in here talks to anything but 127.0.0.1.
"""
