//! Files that somebody names: in an instance's root file system, and beside it.
//!
//! Whoever owns an instance may plant what they like in it, and change it while it is looked at.
//! So a name is walked by the kernel below a handle, what it led to is looked at before it is
//! opened, and only that very thing is opened then.

mod companions;
mod read;
mod root;
mod template;
mod write;

pub(crate) use companions::Templates;
pub(crate) use read::{Attributes, Content};
pub(crate) use root::Root;
pub(crate) use write::{Owner, Write};

#[cfg(test)]
mod tests;
