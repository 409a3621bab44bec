"""Every choice that decides a number, validated and hashed. No torch: the workflow reads these."""
