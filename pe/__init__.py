"""Units: arithmetic that fits in one processing element or one pipeline."""
