//! A connection made, accepted and identified, with the crate.

use std::hint::black_box;

use afunix::{UnixAddr, UnixListener, UnixStream};

/// Connects, accepts, asks who it is, and closes both ends.
pub fn accept_peer(count: u64) {
    let (listener, name) = UnixListener::autobind().expect("a listener");
    let mut from = UnixAddr::UNNAMED;
    for _ in 0..count {
        let _client = UnixStream::connect(black_box(&name)).expect("connected");
        let (_connection, peer) = listener.accept_peer_into(&mut from).expect("accepted");
        black_box((peer.pid, peer.euid, peer.egid));
    }
}
