"""Label savings on images, with priors of known strength."""
