//! The empty string, which elsewhere means an abstract name, no name, or a name that the kernel
//! picks.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net;

use afunix::{
    AddrError, AddrKind, Errno, UnixAddr, UnixDatagram, UnixListener, UnixSeqpacket,
    UnixSeqpacketListener, UnixStream,
};

use crate::common::raw;
use crate::common::{addr, with_empty_name};

/// In rustix 1.1.6 `SocketAddrUnix::new("")` is the abstract name of no bytes.
#[test]
fn empty_path_is_an_error_and_not_the_empty_abstract_name() {
    assert_eq!(UnixAddr::from_pathname(b""), Err(AddrError::EmptyPath));
    let mut used = addr("/used");
    assert_eq!(used.set_pathname(b""), Err(AddrError::EmptyPath));
    assert_eq!(used, addr("/used"));

    // Control: a path of no bytes and its NUL is the abstract name of no bytes to the kernel.
    with_empty_name(|| {
        let socket = raw::socket(libc::SOCK_STREAM);
        raw::bind(&socket, b"\0").unwrap();
        let reply = raw::getsockname(&socket);
        let bound = UnixAddr::from_raw(&reply.bytes, reply.addr_len).unwrap();
        assert_eq!(bound.kind(), AddrKind::Abstract(b""));
    });
}

/// In std 1.95 `bind("")` binds to a name that the kernel picks, which nobody is told; in nix 0.31.3
/// and socket2 0.6.5 the empty path makes an address that does so.
#[test]
fn empty_path_or_no_name_never_makes_bind_pick_a_name() {
    assert_eq!(UnixAddr::from_pathname(b""), Err(AddrError::EmptyPath));
    assert_eq!(UnixAddr::parse(b""), Err(AddrError::EmptyText));
    assert_eq!(UnixAddr::parse(b"@"), Err(AddrError::EmptyName));

    // Nor is there another way to it than to call for it.
    let none = UnixAddr::UNNAMED;
    assert_eq!(UnixDatagram::bind(&none).unwrap_err(), Errno::INVAL);
    assert_eq!(UnixStream::bind(&none).unwrap_err(), Errno::INVAL);
    assert_eq!(UnixSeqpacket::bind(&none).unwrap_err(), Errno::INVAL);
    assert_eq!(UnixListener::bind(&none).unwrap_err(), Errno::INVAL);
    assert_eq!(UnixSeqpacketListener::bind(&none).unwrap_err(), Errno::INVAL);
    assert_eq!(UnixStream::connect_from_to(&none, &addr("/x")).unwrap_err(), Errno::INVAL);

    // Control: std does it.
    let picked = net::UnixListener::bind("").unwrap().local_addr().unwrap();
    assert_eq!(picked.as_abstract_name().map(<[u8]>::len), Some(5));
}

/// In std 1.95 `from_pathname("")` is unnamed and prints so, while `from_abstract_name("")` prints as
/// an empty text that says nothing.
#[test]
fn empty_abstract_name_and_no_name_are_different_and_print_so() {
    let (empty, none) = (UnixAddr::from_abstract_name(b"").unwrap(), UnixAddr::UNNAMED);
    assert_ne!(empty, none);
    assert_eq!((empty.to_string(), none.to_string()), ("@".to_owned(), "<unnamed>".to_owned()));
    assert_eq!(format!("{empty:?}"), "UnixAddr(abstract @)");
    assert_eq!(format!("{none:?}"), "UnixAddr(<unnamed>)");
    assert_eq!((empty.addr_len(), none.addr_len()), (3, 2));

    // Control: std takes the empty path for no name.
    assert!(net::SocketAddr::from_pathname("").unwrap().is_unnamed());
}

/// As an address of mio 1.2.4 the abstract name of no bytes binds to a name that the kernel picks.
#[test]
fn empty_abstract_name_is_bound_and_reached_as_such() {
    with_empty_name(|| {
        let empty = UnixAddr::from_abstract_name(b"").unwrap();
        let listener = UnixListener::bind(&empty).unwrap();
        assert_eq!(listener.local_addr(), Ok(empty));
        assert_eq!(raw::getsockname(&listener).reported()[2..], *b"\0");
        assert_eq!(UnixStream::connect(&empty).unwrap().peer_addr(), Ok(empty));
        assert_eq!(raw::connect(&raw::socket(libc::SOCK_STREAM), b"\0"), Ok(()));
        // It is one name: it can be taken.
        assert_eq!(UnixListener::bind(&empty).unwrap_err(), Errno::ADDRINUSE);

        // Control: without the NUL that is no name, and the kernel picks one.
        let picked = raw::socket(libc::SOCK_STREAM);
        raw::bind(&picked, b"").unwrap();
        assert_eq!(raw::getsockname(&picked).addr_len, 8);
    });
}
