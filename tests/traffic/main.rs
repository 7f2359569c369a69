//! Many senders at once to one receiver: what arrives, in which order, and who has to wait.

#[path = "../common/mod.rs"]
#[macro_use]
mod common;

mod ledger;
mod sender;
mod senders;
