"""What a suite will take, before it runs: jobs, disk, memory, time."""
