"""Text for people: nothing in a name may move the cursor, and what is counted agrees with its number."""


def printable(text: str, keep: str = "") -> str:
    r"""Returns the text with everything escaped that a terminal would obey rather than show.

    Names of files and classes come from anywhere. A control character in one could clear the screen, hide the line
    above, or turn the direction of reading; a name that is no UTF-8 could not be printed at all.

    Args:
        text: as it was read.
        keep: characters that stay as they are, such as the end of a line.

    >>> print(printable("cats\x1b[2J\n"), printable("a\udcffb"), printable("größer\n", keep="\n"), end="")
    cats\x1b[2J\n a\xffb größer
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # how Python holds a byte of a file's name that is no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def counted(number: int, one: str, several: str = "") -> str:
    """Returns a number with its noun.

    >>> counted(1, "search", "searches"), counted(1200, "job")
    ('1 search', '1,200 jobs')
    """
    return f"{number:,} {one if number == 1 else several or one + 's'}"
