//! Sockets without a peer.

use std::os::fd::AsRawFd as _;

use afunix::{AsFd, Errno, Gid, OwnedFd, PeerError, UnixDatagram, UnixSeqpacket, UnixStream};

use crate::asks::{Asks, SO_PEERPIDFD, ints, option};
use crate::common::emulated::{LENGTHS, left_out_by_qemu};
use crate::common::{Watchdog, name, open_fds, passes_in_child};

for_data!(fresh_and_bound_sockets_have_no_peer);

const NOT_CONNECTED: PeerError = PeerError::NotConnected;

/// See "No peer is nobody" in `kernel.md`.
#[track_caller]
fn has_no_peer(socket: impl AsFd) {
    let fd = socket.as_fd();
    let (len, bytes) = option(&fd, libc::SO_PEERCRED, 12).unwrap();
    assert_eq!((len, ints(&bytes[..12])), (12, vec![0, u32::MAX, u32::MAX]));
    assert_eq!(option(&fd, SO_PEERPIDFD, 4).unwrap_err().0, Errno::NODATA);
    assert_eq!(option(&fd, libc::SO_PEERGROUPS, 64).unwrap_err().0, Errno::NODATA);

    assert_eq!(afunix::peer_credentials(fd), Err(NOT_CONNECTED));
    assert_eq!(afunix::peer_pidfd(fd).unwrap_err(), NOT_CONNECTED);
    assert_eq!(afunix::peer(fd).unwrap_err(), NOT_CONNECTED);
    let mut groups = [Gid::from_raw(7); 4];
    assert_eq!(afunix::peer_groups(fd, &mut groups), Err(NOT_CONNECTED));
    assert_eq!(groups, [Gid::from_raw(7); 4]);
    assert_eq!(afunix::peer_groups(fd, &mut []), Err(NOT_CONNECTED));
    assert_eq!(NOT_CONNECTED.errno(), Errno::NOTCONN);
}

fn fresh_and_bound_sockets_have_no_peer<T: Asks>(_: &str) {
    let socket = T::unbound().unwrap();
    has_no_peer(&socket);
    assert_eq!(socket.peer_credentials(), Err(NOT_CONNECTED));
    assert_eq!(socket.peer_pidfd().unwrap_err(), NOT_CONNECTED);
    assert_eq!(socket.peer().unwrap_err(), NOT_CONNECTED);
    assert_eq!(socket.peer_groups(&mut []), Err(NOT_CONNECTED));
    assert!(socket.connect_to(&name("nobody")).is_err());
    has_no_peer(&socket);
    socket.bind_to(&name("bound")).unwrap();
    has_no_peer(&socket);
}

/// See "No peer is nobody" in `kernel.md`: a datagram socket that was connected has an address to send to,
/// and no peer.
#[test]
fn connected_datagram_socket_has_no_peer() {
    let _watchdog = Watchdog::new();
    let server = name("server");
    let receiver = UnixDatagram::bind(&server).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect(&server).unwrap();
    assert_eq!(sender.peer_addr(), Ok(server));
    has_no_peer(&sender);
    // Nor two that are connected to each other.
    let from = name("from");
    sender.bind_to(&from).unwrap();
    receiver.connect(&from).unwrap();
    assert_eq!((sender.send(b"x"), receiver.send(b"y")), (Ok(1), Ok(1)));
    has_no_peer(&sender);
    has_no_peer(&receiver);
}

/// A client whose `connect` was refused or waits is nobody's yet. In a child: what another test's child holds
/// of the listener keeps that from being closed.
#[test]
fn client_whose_connect_fails_has_no_peer() {
    passes_in_child("nobody::client_whose_connect_fails_has_no_peer", || {
        let server = name("server");
        let listener = afunix::UnixListener::bind_with_backlog(&server, 0).unwrap();
        let _first = UnixStream::connect(&server).unwrap();
        let second = UnixStream::unbound().unwrap();
        second.set_nonblocking(true).unwrap();
        assert_eq!(second.connect_to(&server), Err(Errno::AGAIN));
        has_no_peer(&second);
        drop(listener);
        assert_eq!(second.connect_to(&server), Err(Errno::CONNREFUSED));
        has_no_peer(&second);
        let seqpacket = UnixSeqpacket::unbound().unwrap();
        let _listener = afunix::UnixListener::bind(&server).unwrap();
        assert_eq!(seqpacket.connect_to(&server), Err(Errno::CONNREFUSED));
        has_no_peer(&seqpacket);
    });
}

/// See "No peer is nobody" in `kernel.md`.
#[test]
fn connection_of_another_family_has_no_peer() {
    let _watchdog = Watchdog::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    for number in [listener.as_raw_fd(), client.as_raw_fd()] {
        has_no_peer(lend(number));
    }
}

/// As std's descriptors are of other types than this crate's where that is built without std.
fn lend(number: i32) -> OwnedFd {
    // SAFETY: the duplicate is new.
    unsafe {
        let fd = libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 0);
        assert!(fd >= 0);
        <OwnedFd as afunix::FromRawFd>::from_raw_fd(fd)
    }
}

#[test]
fn descriptor_that_is_no_socket_is_enotsock() {
    let _watchdog = Watchdog::new();
    let (pipe, _write) = crate::plain::pipe();
    let not_a_socket = PeerError::Kernel(Errno::NOTSOCK);
    assert_eq!(afunix::peer_credentials(&pipe), Err(not_a_socket));
    assert_eq!(afunix::peer_pidfd(&pipe).unwrap_err(), not_a_socket);
    assert_eq!(afunix::peer(&pipe).unwrap_err(), not_a_socket);
    assert_eq!(afunix::peer_groups(&pipe, &mut []), Err(not_a_socket));
    assert_eq!(afunix::peer_security_context(&pipe, &mut []), Err(not_a_socket));
}

/// See "An answer may be shorter than asked for" in `kernel.md`: why the lengths are just these.
#[test]
fn lengths_that_this_crate_does_not_use() {
    let _watchdog = Watchdog::new();
    passes_in_child("nobody::lengths_that_this_crate_does_not_use", || {
        let (a, _b) = UnixStream::pair().unwrap();
        let (len, bytes) = option(&a, libc::SO_PEERCRED, 4).unwrap();
        assert_eq!((len, ints(&bytes[..4])), (4, vec![std::process::id()]));
        // Nothing is written beyond that, nor beyond a part of a pidfd.
        let all = left_out_by_qemu(LENGTHS);
        assert!(all || ints(&bytes[4..8]) == [0xeeee_eeee]);
        assert_eq!(option(&a, libc::SO_PEERCRED, 100).unwrap().0, 12);
        assert_eq!(crate::plain::set(&a, libc::SO_PEERCRED, 0), Err(Errno::NOPROTOOPT));
        // A pidfd is installed all the same, and nobody is told which.
        let before = open_fds();
        for room in [0, 2] {
            let (len, bytes) = option(&a, SO_PEERPIDFD, room).unwrap();
            assert_eq!(len, room);
            assert!(all || bytes[room] == 0xee);
        }
        let lost: Vec<_> = open_fds().into_iter().filter(|entry| !before.contains(entry)).collect();
        assert_eq!(lost.len(), 2, "{lost:?}");
        // This crate loses none.
        for _ in 0..3 {
            drop(a.peer_pidfd().unwrap());
            drop(a.peer().unwrap());
        }
        assert_eq!(open_fds().len(), before.len() + 2);
        let (len, bytes) = option(&a, SO_PEERPIDFD, 16).unwrap();
        assert_eq!((len, ints(&bytes[..8])[1]), (4, 0xeeee_eeee));
    });
}
