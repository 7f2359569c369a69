//! What other libraries get wrong about addresses and control messages, each seen there by running
//! it, and what this crate does instead. Where it is cheap, a control shows that the usual code goes
//! wrong on the very bytes that the kernel gives.

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

mod buffers;
mod connections;
mod control;
mod credentials;
mod empty;
mod exact;
mod files;
mod full_path;
mod kept;
mod pidfds;
mod sending;
mod unnamed;
