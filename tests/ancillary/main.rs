//! Data with control messages: what the kernel does with them, and that this crate says just that.

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

mod methods;
mod plain;
mod table;
