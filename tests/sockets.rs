//! The five types against the kernel: each call, and what it does when it fails.

mod common;

use afunix::{UnixDatagram, UnixListener, UnixSeqpacket, UnixSeqpacketListener, UnixStream};

#[test]
fn stream_reaches_its_listener_by_abstract_name() {
    let _watchdog = common::Watchdog::new();
    let addr = common::name("stream");
    let listener = UnixListener::bind(&addr).unwrap();
    let client = UnixStream::connect(&addr).unwrap();
    let (server, from) = listener.accept().unwrap();
    assert!(from.is_unnamed());
    assert_eq!(client.peer_addr(), Ok(addr));
    assert_eq!(client.write(b"ping"), Ok(4));
    let mut buf = [0; 8];
    assert_eq!(server.read(&mut buf), Ok(4));
    assert_eq!(&buf[..4], b"ping");
    let _ = (UnixDatagram::pair(), UnixSeqpacket::pair(), UnixSeqpacketListener::autobind());
}
