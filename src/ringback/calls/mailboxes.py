"""The folders of a voice mailbox, as Asterisk's app_voicemail names them."""

from typing import Literal, get_args

Folder = Literal[
    "INBOX", "Old", "Work", "Family", "Friends", "Cust1", "Cust2", "Cust3", "Cust4", "Cust5", "Urgent", "Deleted"
]
FOLDERS: tuple[Folder, ...] = get_args(Folder)
INBOX: Folder = "INBOX"
"""Where messages arrive: they are new as long as they stay there unheard."""
