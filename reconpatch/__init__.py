"""A reproducibility benchmark of ReConPatch (Hyun et al., WACV 2024) beside PatchCore.

Data flows one way, and so do imports: datasets, features, representation, detection, evaluation,
reporting.
"""

__version__ = "0.1.0"
