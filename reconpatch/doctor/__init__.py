"""Whether this machine has what a suite needs, on one screen, and what to do where it has not."""

from reconpatch.doctor.checks import Check, print_checks
from reconpatch.doctor.machine import check_machine
from reconpatch.doctor.supplies import check_supplies

__all__ = ["Check", "check_machine", "check_supplies", "print_checks"]
