"""Hostile tasks, what is to become of each, and the proof of it on real daemons."""
