"""The suite checked on a GPU by one command: ``make gpu-check``.

Every step runs on the CPU and on the GPU, and their results are compared; speed and peak memory
are measured beside what the suite states. ``--rehearse`` walks the same checks on a CPU with small
sizes, to find mistakes in the checks themselves. Its outcome says nothing about a GPU.
"""
