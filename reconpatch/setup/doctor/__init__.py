"""Check on one screen whether this machine has what a suite needs, and say how to get the rest."""

from reconpatch.setup.doctor.checks import Check, print_checks
from reconpatch.setup.doctor.data_and_weights import check_data_and_weights
from reconpatch.setup.doctor.machine import check_machine

__all__ = ["Check", "check_data_and_weights", "check_machine", "print_checks"]
