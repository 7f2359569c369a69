//! Which errno comes of which address, and that a call which fails has changed nothing.

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

mod abstracts;
mod listening;
mod paths;
mod states;
mod table;
