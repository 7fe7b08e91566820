"""The web: doors, pages, health. A view reads its input, calls, renders."""
