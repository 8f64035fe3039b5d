"""One training: its loop, where and how it runs, how it is saved and kept, and the score of what it gave."""
