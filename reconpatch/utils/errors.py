"""The error that a user can mend."""

import errno


class InputError(Exception):
    """Something that the user gave cannot be used: the message names it and says what to do.

    The command line prints the message alone, without a traceback.
    """


def disk_trouble(error: OSError) -> InputError | None:
    """Return a full or read-only disk's error in our words; None for any other error."""
    file = f" {error.filename}" if error.filename else ""
    stays = "Run the same command again: what is finished stays."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InputError(f"The disk is full: no room for the file{file}. Make room. {stays}")
    if error.errno == errno.EROFS:
        return InputError(f"The disk is read-only: the file{file} cannot be written. {stays}")
    return None


def first_line(error: Exception) -> str:
    """Return how another library's error begins; its name where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]
