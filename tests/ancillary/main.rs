//! Data with control messages: what the kernel does with them, and that this crate says just that.

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

mod claims;
mod data;
mod elsewhere;
mod functions;
mod methods;
mod numbers;
mod options;
mod order;
mod peeks;
mod plain;
mod queues;
mod receiving;
mod room;
mod senders;
mod sending;
mod streams;
mod table;
mod values;
