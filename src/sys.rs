//! The one place where `unsafe` is allowed.
//!
//! - [`syscall`]: how a system call is made on each architecture. Nothing else holds assembly.
//! - [`errno`]: how an answer becomes an errno, without a panic.
//! - [`fd`]: how a number becomes a descriptor that somebody owns. Nothing else may.
//! - [`addr`]: the storage of an address, which the kernel reads and fills in place.
//! - [`control`], [`fds`]: control messages, and who owns the descriptors in them and out of them.
//! - [`batch`]: the memory of many messages in one call, and who owns the descriptors in it.
//! - [`socket`], [`sockopt`], [`timeout`], [`queue`], [`peer`], [`data`], [`msg`], [`clock`],
//!   [`mod@file`]: calls that rustix lacks, or whose form there keeps a panic reachable, behind safe functions.
//!
//! The rules: one operation a block; a `SAFETY:` that answers each precondition of that operation;
//! and what the kernel is relied on for stands in `kernel.md`, with a test.
#![allow(unsafe_code)]
#![deny(
    clippy::missing_safety_doc,
    clippy::multiple_unsafe_ops_per_block,
    clippy::undocumented_unsafe_blocks,
    unsafe_op_in_unsafe_fn
)]

pub(crate) mod addr;
pub(crate) mod batch;
pub(crate) mod clock;
pub(crate) mod control;
pub(crate) mod data;
mod errno;
pub(crate) mod fd;
pub(crate) mod fds;
pub(crate) mod file;
pub(crate) mod msg;
pub(crate) mod peer;
pub(crate) mod queue;
pub(crate) mod socket;
pub(crate) mod sockopt;
mod syscall;
pub(crate) mod timeout;

#[cfg(test)]
mod tests;
