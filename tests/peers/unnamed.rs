//! Sockets without a name. The kernel reports a length of 2 for them, and for a sender a length of
//! 0, with nothing written at all.

use std::collections::HashSet;

use afunix::{AddrKind, Errno, UnixAddr, UnixDatagram, UnixListener, UnixSeqpacket, UnixStream};

use crate::common::Watchdog;
use crate::common::raw::{self, Reply};

/// Calls everything that an address can do, and panics unless it says that there is no name.
#[track_caller]
fn check(addr: &UnixAddr) {
    assert_eq!(addr.kind(), AddrKind::Unnamed);
    assert!(addr.is_unnamed());
    assert_eq!(addr.as_pathname(), None);
    assert_eq!(addr.as_pathname_cstr(), None);
    assert_eq!(addr.as_abstract_name(), None);
    assert_eq!(addr.to_string(), "<unnamed>");
    assert_eq!(format!("{addr:?}"), "UnixAddr(<unnamed>)");
    assert_eq!(addr.addr_len(), 2);
    assert_eq!(addr.as_raw_bytes(), 1u16.to_ne_bytes());
    assert_eq!(*addr, UnixAddr::UNNAMED);
    assert_ne!(*addr, UnixAddr::from_abstract_name(b"").unwrap());
    let (one, two) = (HashSet::from([*addr]), HashSet::from([UnixAddr::UNNAMED]));
    assert_eq!(one, two);
}

/// Checks what comes of a reply without a name, and that it holds no more than `addr_len` bytes.
#[track_caller]
fn check_reply(reply: &Reply, addr_len: usize) {
    assert_eq!(reply.addr_len, addr_len);
    assert!(reply.bytes[addr_len..].iter().all(|byte| *byte == 0xee), "there is more");
    check(&UnixAddr::from_raw(&reply.bytes, reply.addr_len).unwrap());
    // What was in the address before does not shine through.
    let mut used = UnixAddr::from_pathname(b"/used").unwrap();
    used.set_raw(&reply.bytes, reply.addr_len).unwrap();
    check(&used);
}

/// A datagram socket that was sent one by a socket without a name.
fn sent_by_nobody() -> UnixDatagram {
    let (server, name) = UnixDatagram::autobind().unwrap();
    assert_eq!(UnixDatagram::unbound().unwrap().send_to(b"hello", &name), Ok(5));
    server
}

/// rustix 1.1.6 takes such an address for the abstract name of no bytes.
#[test]
fn socket_without_a_name_is_told_as_unnamed_and_not_as_abstract() {
    let _watchdog = Watchdog::new();
    let (listener, name) = UnixListener::autobind().unwrap();
    let client = UnixStream::connect(&name).unwrap();
    let (server, from) = listener.accept().unwrap();
    let (packet, _peer) = UnixSeqpacket::pair().unwrap();
    check(&from);
    check(&client.local_addr().unwrap());
    check(&server.peer_addr().unwrap());
    check(&packet.local_addr().unwrap());
    check(&packet.peer_addr().unwrap());
    check(&UnixDatagram::unbound().unwrap().local_addr().unwrap());
    check_reply(&raw::getsockname(&client), 2);

    // Control: in a zeroed `sockaddr_un` this looks as the beginning of an abstract name does.
    let mut zeroed = [0; 110];
    zeroed[..2].copy_from_slice(raw::getsockname(&client).reported());
    assert_eq!(zeroed[2], 0);
}

/// nix 0.31.3 gives the peer of `recvmsg` on a stream an address whose `path` and `==` panic.
#[test]
fn stream_peer_without_a_name_in_recvmsg_is_told_as_unnamed() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.write(b"hello").unwrap();
    check_reply(&raw::message_sender(&ours), 0);
}

/// nix 0.31.3 panics in `is_unnamed` and in `Display` of such a sender.
#[test]
fn datagram_sender_without_a_name_is_told_as_unnamed() {
    let _watchdog = Watchdog::new();
    let mut buf = [0; 8];
    let (received, from) = sent_by_nobody().recv_from(&mut buf).unwrap();
    assert_eq!(&buf[..received.bytes], b"hello");
    check(&from);

    let mut used = UnixAddr::from_abstract_name(b"used").unwrap();
    assert_eq!(sent_by_nobody().recv_from_into(&mut buf, &mut used).unwrap().bytes, 5);
    check(&used);
    check_reply(&raw::message_sender(&sent_by_nobody()), 0);

    // Control: the family cannot be read, since it was not written.
    let reply = raw::sender(&sent_by_nobody());
    assert_ne!(reply.bytes[..2], 1u16.to_ne_bytes());
}

/// uds 0.4.2 panics in `as_raw_bytes` of such a sender.
#[test]
fn raw_bytes_of_a_sender_without_a_name_are_the_family() {
    let _watchdog = Watchdog::new();
    let mut buf = [0; 8];
    let (_, from) = sent_by_nobody().recv_from(&mut buf).unwrap();
    assert_eq!(from.as_raw_bytes(), 1u16.to_ne_bytes());
    assert_eq!(from.addr_len(), 2);
    // They are no name for a call to use, and none picks one for them.
    let socket = UnixDatagram::unbound().unwrap();
    assert_eq!(socket.bind_to(&from), Err(Errno::INVAL));
    check(&socket.local_addr().unwrap());

    // Control: there is no family to take off the reported length.
    assert_eq!(raw::sender(&sent_by_nobody()).addr_len.checked_sub(2), None);
}
