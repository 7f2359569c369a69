//! Addresses: against the kernel, which is the oracle; as text; and as values.

#[path = "../common/mod.rs"]
mod common;

mod kernel;
mod properties;
mod text;
mod values;
