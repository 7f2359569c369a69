//! Bytes from outside to meaning, and back: pure functions that no input makes panic.
//!
//! Nothing here makes a system call, indexes a slice or does arithmetic that can overflow; nothing
//! is imported but `core` and the error types. That is what lets a fuzzer, Miri and a constant
//! expression run the very code that reads the kernel's answers.

pub(crate) mod addr;
pub(crate) mod cmsg;
pub(crate) mod status;
pub(crate) mod text;

#[cfg(test)]
pub(crate) mod tests;
