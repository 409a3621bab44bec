"""What every room uses and none owns: errors, files, devices, provenance, fingerprints."""
