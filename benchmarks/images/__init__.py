"""Labels saved on images, beside a prior of known strength."""
