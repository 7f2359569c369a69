//! The example programs as a user runs them: what they print, and how they end.

// No processes there.
#![cfg(not(miri))]

#[path = "../common/mod.rs"]
mod common;

// Made to be taken along, and so it is here.
#[path = "../../examples/privsep/broker.rs"]
mod broker;
#[path = "../../examples/fd_stream/frames.rs"]
mod frames;
#[path = "../../examples/http_get/response.rs"]
mod response;

mod abstract_name;
mod credentials;
mod datagram;
mod dgram_flood;
mod echo;
mod fd_stream;
mod http_get;
mod many_clients;
mod passing;
mod peer_auth;
mod privsep;
mod program;
mod sasl_external;
mod servers;
mod socket_files;
mod socketpair_fork;
mod tour;
