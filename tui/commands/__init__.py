"""One small file per command. Only typer is imported at their top: `sdoctor --help` loads them all."""
