//! What a program has to know of signals, and what it would hand to another by accident.

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

mod exec;
mod interrupted;
mod restarted;
mod sigpipe;
