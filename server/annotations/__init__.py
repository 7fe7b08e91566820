"""Where people are told. Wording is `core/note.py`."""
