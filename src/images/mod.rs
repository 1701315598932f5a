//! What the daemon does with images.
