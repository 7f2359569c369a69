//! Beside std: the same where std is right, and what differs where it is not.

#![cfg(feature = "std")]

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

mod addresses;
mod errors;
mod sockets;
mod streams;
