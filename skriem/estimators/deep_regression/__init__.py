"""Deep regression networks of binary units as estimators."""
