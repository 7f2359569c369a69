//! Paths of 108 bytes, which fill `sun_path` and leave no room for their NUL. The kernel takes them
//! and reports 111 bytes for them, one more than a `sockaddr_un` has.

use std::os::unix::ffi::OsStrExt;

use afunix::{
    AddrKind, DecodeError, UnixAddr, UnixDatagram, UnixListener, UnixSeqpacket,
    UnixSeqpacketListener, UnixStream,
};
use rustix::net::SocketAddrAny;
use rustix::net::addr::SocketAddrArg;

use crate::common::raw;
use crate::common::{TempDir, Watchdog, addr};

/// A path of 108 bytes in `dir`, whose last byte is like no other, so that it shows if it is lost.
fn full_path(dir: &TempDir) -> Vec<u8> {
    let mut path = dir.path_of_len(108).as_os_str().as_bytes().to_vec();
    path[107] = b'z';
    path
}

fn full_addr(dir: &TempDir) -> UnixAddr {
    UnixAddr::from_pathname(&full_path(dir)).unwrap()
}

/// Calls everything that an address can do, and panics unless it is `path`.
#[track_caller]
fn check(addr: &UnixAddr, path: &[u8]) {
    let text = String::from_utf8(path.to_vec()).unwrap();
    assert_eq!(addr.kind(), AddrKind::Pathname(path));
    assert_eq!(addr.as_pathname(), Some(path));
    assert_eq!(addr.as_pathname_cstr().map(|path| path.to_bytes()), Some(path));
    assert_eq!(addr.as_abstract_name(), None);
    assert!(!addr.is_unnamed());
    assert_eq!(addr.to_string(), text);
    assert_eq!(format!("{addr:?}"), format!("UnixAddr(pathname {text})"));
    assert_eq!(addr.to_text().as_str(), text);
    assert_eq!(&addr.as_raw_bytes()[2..], path);
    assert_eq!(addr.addr_len(), 110);
}

fn bytes_of(any: &SocketAddrAny) -> &[u8] {
    let len = any.addr_len() as usize;
    // SAFETY: rustix has as many bytes as it says.
    unsafe { std::slice::from_raw_parts(any.as_ptr().cast(), len) }
}

/// rustix 1.1.6 panics in `SocketAddrUnix::try_from` and even in `Debug` of the address, since it
/// looks for a NUL at `sun_path[108]`.
#[test]
fn reported_address_of_a_full_path_is_decoded_and_printed() {
    let dir = TempDir::new();
    let path = full_path(&dir);
    let socket = UnixDatagram::bind(&full_addr(&dir)).unwrap();
    let reply = raw::getsockname(&socket);
    assert_eq!(reply.addr_len, 111);
    check(&UnixAddr::from_raw(&reply.bytes, reply.addr_len).unwrap(), &path);
    check(&socket.local_addr().unwrap(), &path);

    // Control: where the NUL of any shorter path lies, there is no `sun_path` any more.
    assert_eq!(reply.sun_path().get(reply.addr_len - 2 - 1), None);
}

/// With rustix 1.1.6 one datagram kills a server that prints whom it came from.
#[test]
fn server_is_sent_a_datagram_from_a_full_path_and_prints_and_answers_it() {
    let _watchdog = Watchdog::new();
    let dir = TempDir::new();
    let (server, server_name) = UnixDatagram::autobind().unwrap();
    let hostile = UnixDatagram::bind(&full_addr(&dir)).unwrap();
    hostile.send_to(b"die", &server_name).unwrap();

    let mut buf = [0; 8];
    let (received, from) = server.recv_from(&mut buf).unwrap();
    assert_eq!(&buf[..received.bytes], b"die");
    check(&from, &full_path(&dir));
    assert_eq!(server.send_to(b"no", &from), Ok(2));
    let (received, from) = hostile.recv_from(&mut buf).unwrap();
    assert_eq!((&buf[..received.bytes], from), (&b"no"[..], server_name));

    // Control: the kernel does report this sender with more than a `sockaddr_un` holds.
    hostile.send_to(b"die", &server_name).unwrap();
    assert_eq!(raw::sender(&server).addr_len, 111);
}

/// rustix 1.1.6 panics when its own address of a full path becomes a `SocketAddrAny` and one of its
/// own again.
#[test]
fn full_path_goes_through_the_calls_of_rustix_and_comes_back_the_same() {
    let dir = TempDir::new();
    let addr = full_addr(&dir);
    let any = addr.as_any();
    assert_eq!(any.addr_len(), 110);
    assert_eq!(UnixAddr::from_raw(bytes_of(&any), 110), Ok(addr));

    let socket = UnixDatagram::unbound().unwrap();
    rustix::net::bind(&socket, &addr).unwrap();
    let reported = rustix::net::getsockname(&socket).unwrap();
    assert_eq!(reported.addr_len(), 111);
    assert_eq!(UnixAddr::from_raw(bytes_of(&reported), 111), Ok(addr));

    let client = UnixDatagram::unbound().unwrap();
    rustix::net::connect(&client, &addr).unwrap();
    assert_eq!(client.peer_addr(), Ok(addr));
}

/// nix 0.31.3 and tokio-seqpacket 0.9.1 give 109 bytes, the last of them from behind `sun_path`.
#[test]
fn reported_full_path_has_exactly_its_108_bytes() {
    let dir = TempDir::new();
    let socket = UnixDatagram::bind(&full_addr(&dir)).unwrap();
    let mut reply = raw::getsockname(&socket);
    check(&UnixAddr::from_raw(&reply.bytes, 111).unwrap(), &full_path(&dir));
    // What stands behind the `sockaddr_un` is not part of the path: it need not be there.
    let (sockaddr_un, behind) = reply.bytes.split_at_mut(110);
    check(&UnixAddr::from_raw(sockaddr_un, 111).unwrap(), &full_path(&dir));

    // Control: 109 bytes of path, if its length is what is left of the reported length; and the
    // last of them is whatever stands there.
    behind.fill(b'o');
    let naive = &reply.bytes[2..reply.addr_len];
    assert_eq!((naive.len(), naive.last()), (109, Some(&b'o')));
    // That is no report of the kernel, and is not taken for one.
    let refused = DecodeError::Length { addr_len: 111 };
    assert_eq!(UnixAddr::from_raw(&reply.bytes, 111), Err(refused));
}

/// socket2 0.6.5 panics in `SockAddr::as_unix` of such a peer.
#[test]
fn accepted_client_with_a_full_path_is_told_by_accept_and_peer_addr() {
    let _watchdog = Watchdog::new();
    let dir = TempDir::new();
    let (listener, name) = UnixListener::autobind().unwrap();
    let client = UnixStream::connect_from_to(&full_addr(&dir), &name).unwrap();
    let (server, from) = listener.accept().unwrap();
    check(&from, &full_path(&dir));
    check(&server.peer_addr().unwrap(), &full_path(&dir));
    check(&client.local_addr().unwrap(), &full_path(&dir));
}

/// socket2 0.6.5, nix 0.31.3 and std 1.95 refuse to make such an address.
#[test]
fn full_path_is_accepted_and_one_byte_more_is_not() {
    let dir = TempDir::new();
    check(&full_addr(&dir), &full_path(&dir));
    check(&addr(dir.path_of_len(108)), dir.path_of_len(108).as_os_str().as_bytes());
    let longer = dir.path_of_len(109);
    assert!(UnixAddr::from_pathname(longer.as_os_str().as_bytes()).is_err());

    // Control: that is where the kernel draws the line.
    let socket = raw::socket(libc::SOCK_STREAM);
    assert_eq!(raw::bind(&socket, longer.as_os_str().as_bytes()), Err(libc::EINVAL));
    assert_eq!(raw::bind(&socket, &full_path(&dir)), Ok(()));
}

/// In std 1.95 `connect_addr` with the listener's own `local_addr` is `EINVAL`.
#[test]
fn stream_connects_to_the_full_path_that_its_listener_reported() {
    let _watchdog = Watchdog::new();
    let dir = TempDir::new();
    let listener = UnixListener::bind(&full_addr(&dir)).unwrap();
    let client = UnixStream::connect(&listener.local_addr().unwrap()).unwrap();
    check(&client.peer_addr().unwrap(), &full_path(&dir));
    assert!(listener.accept().unwrap().1.is_unnamed());

    // Control: the length as it was reported is not one that the kernel takes.
    let reply = raw::getsockname(&listener);
    let naive = raw::socket(libc::SOCK_STREAM);
    assert_eq!(raw::connect(&naive, &reply.reported()[2..]), Err(libc::EINVAL));
}

/// tokio-seqpacket 0.9.1 cannot connect to the address that it reports.
#[test]
fn seqpacket_connects_to_the_full_path_that_its_listener_reported() {
    let _watchdog = Watchdog::new();
    let dir = TempDir::new();
    let listener = UnixSeqpacketListener::bind(&full_addr(&dir)).unwrap();
    let local = listener.local_addr().unwrap();
    check(&local, &full_path(&dir));
    let client = UnixSeqpacket::connect(&local).unwrap();
    check(&client.peer_addr().unwrap(), &full_path(&dir));
    assert!(listener.accept().unwrap().1.is_unnamed());
}

/// mio 1.2.4 fails with `EINVAL` on an address that std read from a socket.
#[test]
fn full_path_read_by_other_code_is_connected_to() {
    let dir = TempDir::new();
    let foreign = raw::socket(libc::SOCK_STREAM);
    raw::bind(&foreign, &full_path(&dir)).unwrap();
    raw::listen(&foreign);
    let reply = raw::getsockname(&foreign);
    let addr = UnixAddr::from_raw(&reply.bytes, reply.addr_len).unwrap();
    let client = UnixStream::connect(&addr).unwrap();
    check(&client.peer_addr().unwrap(), &full_path(&dir));
}
