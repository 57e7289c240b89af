"""The commands: `nst-lesson` (main) and `python -m nst_lesson.cli.train` (train)."""
