"""The keys of the monitor screen, and the help that explains them."""

from __future__ import annotations

from textual.binding import Binding

KEYS = (
    Binding("q", "app.quit", "quit"),
    Binding("ctrl+c", "app.quit", show=False),
    Binding("question_mark,h", "help", "help", key_display="?"),
    Binding("space", "hold", "hold"),
    Binding("left", "step(-1)", "history", key_display="←→"),
    Binding("right", "step(1)", show=False),
    Binding("left_square_bracket", "step(-10)", show=False),
    Binding("right_square_bracket", "step(10)", show=False),
    Binding("home", "oldest", show=False),
    Binding("end", "newest", show=False),
    Binding("plus,equals_sign", "zoom(-1)", show=False),
    Binding("minus", "zoom(1)", show=False),
    Binding("less_than_sign", "speed(-1)", show=False),
    Binding("greater_than_sign", "speed(1)", show=False),
    Binding("slash", "filter", "filter"),
    Binding("full_stop", "sort(1)", "sort", key_display=".,"),
    Binding("comma", "sort(-1)", show=False),
    Binding("r", "reverse", show=False),
    Binding("t", "tree", "tree"),
    Binding("d", "details", "threads"),
    Binding("k,f9", "signal", "signal"),
    Binding("T", "signal('SIGTERM')", show=False),
    Binding("K", "signal('SIGKILL')", show=False),
    Binding("I", "signal('SIGINT')", show=False),
    Binding("v", "view", show=False),
    Binding("escape", "clear", show=False),
)

HELP = (
    (
        "Time",
        (
            ("← →  [ ]", "a step back and forth, ten; or click the line of time"),
            ("Home End", "the oldest that is kept, the present"),
            ("space", "hold, and go on; a recording: pause and play"),
            ("+ -", "less or more time in the plots"),
            ("< >", "play a recording slower or faster"),
        ),
    ),
    (
        "Processes",
        (
            (". ,", "sort by the next column, the one before; or click it"),
            ("r", "turn the order round"),
            ("/  Esc", "filter by id, user or command; Esc takes it back"),
            ("t", "as a tree"),
            ("↑ ↓ g G", "choose one"),
            ("Enter", "watch it: its own panel, its verdict; again: no longer"),
            ("d", "its command line and its threads"),
            ("k  F9", "send it a signal, after a question"),
            ("T  K  I", "the same with TERM, KILL, INT chosen"),
        ),
    ),
    (
        "Screen",
        (
            ("v", "panels and processes, panels only, processes only"),
            ("q", "quit"),
            ("Ctrl+P", "command palette: themes, screenshot, ..."),
            ("?  h", "this help"),
        ),
    ),
    (
        "Figures",
        (
            ("GPU busy", "share of the time in which a kernel ran"),
            ("GPU memory", "share of the time in which it was read or written"),
            ("GPU-MEM", "what a process holds on all cards, by the driver"),
            ("waiting", "time in which a program stood still for it"),
            ("┊  !", "an incident: a run that went wrong"),
            ("unknown, ?", "could not be read; it is never shown as zero"),
        ),
    ),
)
"""For the overlay, which has room for 56 letters behind a key in 80 columns."""
