"""The story: receive, re-read, decide, guard, plan, act, prove, tell. No Flask, no SQL, no vendor, no clock."""
