//! The wire: what requests and answers look like, and how Go reads and writes them.
