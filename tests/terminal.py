"""A pseudo terminal that answers what a real one would be asked, for tests of what a program writes to it."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

ASK_ATTRIBUTES = b"\x1b[c"
SIXEL = b"\x1b[?62;4;22c"
NO_SIXEL = b"\x1b[?62;22c"
ASK_KITTY = re.compile(rb"\x1b_Gi=(\d+),[^;\x1b]*a=q[^\x1b]*\x1b\\")
"""The question of Kitty's protocol; its answer names the picture (sw.kovidgoyal.net/kitty/graphics-protocol)."""
KITTY, NO_KITTY = b"OK", b"ENOTSUPPORTED:no pictures here"


class Terminal:
    """Runs a command on a terminal of ``columns`` x ``rows`` cells of 10 x 20 pixels."""

    def __init__(self, command, environment, columns=120, rows=40, answer=None, kitty=None):
        """``answer``: to the question for its attributes; ``kitty``: to that for Kitty's pictures; None: silence."""
        self.written = b""
        self._answer = answer
        self._answered = 0
        self._kitty = kitty
        self._told = 0
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 10 * columns, 20 * rows))
        # A plugin of pytest sets COLUMNS and LINES, which Textual takes for the size of the terminal.
        kept = {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")}
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=kept, start_new_session=True
        )
        os.close(theirs)

    def type(self, keys):
        os.write(self._ours, keys)

    def wait_for(self, words, seconds=30.0):
        """Read until ``words`` were written; False if they were not in time, or the program ended."""
        deadline = time.monotonic() + seconds
        while words not in self.written and time.monotonic() < deadline:
            if not self._read():
                break
        return words in self.written

    def _read(self):
        if not select.select([self._ours], [], [], 0.1)[0]:
            return self._process.poll() is None
        try:
            data = os.read(self._ours, 65536)
        except OSError:
            return False
        self.written += data
        while self._answer and self.written.count(ASK_ATTRIBUTES) > self._answered:
            self._answered += 1
            os.write(self._ours, self._answer)
        questions = ASK_KITTY.findall(self.written) if self._kitty else ()
        for number in questions[self._told :]:
            self._told += 1
            os.write(self._ours, b"\x1b_Gi=" + number + b";" + self._kitty + b"\x1b\\")
        return bool(data)

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._ours)
