//! What an image is: fingerprint, metadata, architecture, and the formats it comes in.
