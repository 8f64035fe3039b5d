"""One part of each kind that an experiment can be made of, as somebody would write them outside of this project."""
