//! Files of sockets that change hands while others look, start, stop and die.
//!
//! Each test is a process of its own, with other processes that it makes by [`common::process`]; these can
//! be stopped at each system call, by [`common::stepper`], so that what takes a thousand tries at natural
//! speed happens each time. Beside each test the same is done as it is often written, by [`naive`]: that must
//! be seen to fail.

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

mod both;
mod killed;
mod naive;
mod pipe;
mod remover;
mod server;
mod starters;
mod takeover;
mod twice;
