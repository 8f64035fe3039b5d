"""Files and folders that systems, network drives and cloud services leave among the images of a folder.

>>> [is_litter(name) for name in ("Thumbs.db", "DESKTOP.INI", "Icon\\r", "@eaDir", "._cat.jpg")]
[True, True, True, True, True]
>>> is_litter("cat.jpg"), is_litter("notes.txt")
(False, False)
"""

#: Whole names, in small letters.
_NAMES = frozenset(
    {
        # Windows
        "thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "_desktop.ini",
        "folder.ini",
        "$recycle.bin",
        "recycler",
        "recycled",
        "system volume information",
        "wpsettings.dat",
        "indexervolumeguid",
        # macOS
        "icon\r",
        "icon\uf00d",  # as Samba writes it
        "icon_",  # and some cloud drives
        "__macosx",
        "desktop db",
        "desktop df",
        "network trash folder",
        "temporary items",
        "thevolumesettingsfolder",
        # Linux and servers
        "lost+found",
        "@eadir",
        "@tmp",
        "@recycle",
        "@recently-snapshot",
        "@__thumb",
        "#recycle",
        "#snapshot",
        "~snapshot",
        # programs that show pictures
        "picasa.ini",
        "zbthumbnail.info",
        "pspbrwse.jbf",
        "cvs",
    }
)
#: Ends of names: alternate streams that a copy made files of, downloads under way, copies that editors keep.
_ENDINGS = (
    ":zone.identifier",
    ":encryptable",
    ":com.dropbox.attributes",
    ":com.dropbox.attrs",
    ":afp_afpinfo",
    ":afp_resource",
    ":synoeastream",
    "@synoeastream",
    "@synoresource",
    ".crdownload",
    ".part",
    ".partial",
    ".filepart",
    ".tmp",
    ".swp",
    "~",
)
#: Their beginnings: hidden files, and the locks of office programs.
_BEGINNINGS = (".", "~$", "~syncthing~")


def is_litter(name: str) -> bool:
    """Returns whether a file or folder of this name is none of the user's, whatever the case of its letters."""
    small = name.casefold()
    # A colon or a carriage return is written in several ways where a file system does not take it.
    plain = small.replace("\uf03a", ":").replace("%3a", ":").replace("_zone.identifier", ":zone.identifier")
    return small in _NAMES or plain.endswith(_ENDINGS) or small.startswith(_BEGINNINGS)
