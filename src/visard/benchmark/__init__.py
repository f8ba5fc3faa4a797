"""The main job: many unseen people, every arm on the same seeds, one table and what it must show."""
