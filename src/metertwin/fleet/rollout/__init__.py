"""Another image for twins: rehearsed, tried on a canary, watched, promoted or taken back."""
