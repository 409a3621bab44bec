"""The error that a user can mend."""


class InputError(Exception):
    """Something that the user gave cannot be used: the message names it and says what to do.

    The command line prints the message alone, without a traceback.
    """
