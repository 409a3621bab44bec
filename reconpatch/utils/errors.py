"""The error that a user can mend."""

import errno
import re


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


def memory_trouble(error: Exception) -> InputError | None:
    """Return in one line what memory was needed where it ran out; None for any other error."""
    said = " ".join(str(error).split())
    # torch's error is known by its name, as torch itself is slow to import.
    if type(error).__name__ == "OutOfMemoryError":
        # torch goes on with advice on its allocator.
        told, free, _ = said.partition("is free.")
        return InputError(
            f"{told}{free} No smaller part of the work is left to try: free memory there, take a "
            "GPU with more, or device=cpu."
        )
    if isinstance(error, MemoryError):
        needed = said or "Python could not allocate what it needed"
    elif "DefaultCPUAllocator" in said:
        asked = re.search(r"you tried to allocate (\d+) bytes", said)
        needed = f"Unable to allocate {int(asked[1]) / 2**20:,.0f} MiB" if asked else said
    else:
        return None
    return InputError(
        f"Memory ran out: {needed}. Run fewer jobs at once (--cores), or give the job more memory; "
        "reconpatch plan says what each needs. What is finished stays."
    )


def first_line(error: Exception) -> str:
    """Return how another library's error begins; its name where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]
