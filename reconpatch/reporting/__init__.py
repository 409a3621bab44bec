"""What people read: tables beside the paper's, figures, and the report page."""
