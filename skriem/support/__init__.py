"""What estimators share: rows, blocks of rows, parallel work, progress, fitted state."""
