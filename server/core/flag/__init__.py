"""A LaunchDarkly flag as seen, judged and written: pure but for `look`, whose door is handed in."""
