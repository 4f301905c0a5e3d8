"""A training as a whole: its settings, its network, its folder."""
