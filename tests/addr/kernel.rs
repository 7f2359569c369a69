//! The kernel as oracle: bind an address, ask for the name, decode, compare. The facts are under
//! "Addresses" in `src/kernel.md`.

use std::fs;
use std::mem::size_of;

use std::path::Path;

use afunix::{AddrKind, Errno, UnixAddr, UnixDatagram, UnixListener, UnixSeqpacket, UnixStream};

use rustix::fd::{AsRawFd, OwnedFd};

use crate::common::{self, raw};

/// A datagram socket that libc made.
fn socket() -> OwnedFd {
    raw::socket(libc::SOCK_DGRAM)
}

/// A buffer that is longer than any address, and the length that the kernel reported, which was
/// told of the first `room` bytes.
fn name(fd: &impl AsRawFd, room: usize) -> ([u8; 128], usize) {
    let reply = raw::getsockname_within(fd, room);
    (reply.bytes, reply.addr_len)
}

/// The family, then `sun_path`, then a byte that is not to be looked at.
fn sockaddr_and_more(sun_path: &[u8]) -> Vec<u8> {
    [&raw::sockaddr(sun_path)[..], &[0xee]].concat()
}

/// `sun_path` of `len` bytes with this first byte, and NUL at `nul` if that is inside.
fn sun_path(len: usize, first: u8, nul: usize) -> Vec<u8> {
    let mut bytes = vec![b'a'; len];
    if let Some(byte) = bytes.first_mut() {
        *byte = first;
    }
    if let Some(byte) = bytes.get_mut(nul) {
        *byte = 0;
    }
    bytes
}

/// Leaves for a network namespace of this process, where no other has the abstract names that the
/// whole machine shares. Who is not root becomes it, in a user namespace. A container may forbid
/// both; then the test is skipped, and this is false.
fn own_namespace() -> bool {
    // SAFETY: takes numbers alone.
    let done = unsafe {
        libc::unshare(libc::CLONE_NEWNET) == 0
            || libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET) == 0
    };
    done || skip_if_forbidden("leave the namespaces")
}

/// What was tried last failed: skips the test if it is not allowed here. No other failure is.
#[track_caller]
fn skip_if_forbidden(what: &str) -> bool {
    let error = std::io::Error::last_os_error();
    // Where a kernel has no such namespaces, or as many as it may have, that is `EINVAL` or
    // `ENOSPC`.
    let forbidden = [libc::EPERM, libc::EACCES, libc::EINVAL, libc::ENOSPC];
    assert!(forbidden.map(Some).contains(&error.raw_os_error()), "cannot {what}: {error}");
    common::skip(format_args!("cannot {what}: {error}"));
    false
}

/// In an empty folder that is the root and the working directory, so that any path can be bound.
fn in_empty_root(test: &str, body: impl FnOnce()) {
    let folder = common::TempDir::new();
    common::passes_in_child_with(
        test,
        |command| _ = command.env("AFUNIX_TEST_ROOT", folder.path()),
        || {
            std::env::set_current_dir(std::env::var_os("AFUNIX_TEST_ROOT").unwrap()).unwrap();
            if !own_namespace() {
                return;
            }
            // SAFETY: a C string that is one.
            if unsafe { libc::chroot(c".".as_ptr()) } == 0 || skip_if_forbidden("change the root") {
                body();
            }
        },
    );
}

fn remove_any(path: &[u8]) {
    use std::os::unix::ffi::OsStrExt;
    fs::remove_file(Path::new(std::ffi::OsStr::from_bytes(path))).unwrap();
}

/// Each length that an address can have and one more, each kind of first byte, NUL at each place
/// and at none: what we make of bytes that are bound is what the kernel makes of them.
#[test]
fn every_shape_of_bytes_is_read_as_the_kernel_reads_it() {
    in_empty_root("kernel::every_shape_of_bytes_is_read_as_the_kernel_reads_it", || {
        let mut bound = 0;
        for len in 1..=108 {
            for first in [0, b'@', b'/', b'x'] {
                for nul in 0..=len {
                    let sun_path = sun_path(len, first, nul);
                    let bytes = sockaddr_and_more(&sun_path);
                    let addr_len = 2 + len;
                    let ours = UnixAddr::from_raw(&bytes, addr_len).unwrap();
                    let fd = socket();
                    let result = raw::bind_told(&fd, &bytes, addr_len);
                    if ours.as_pathname() == Some(b"/") {
                        assert_eq!(result, Err(libc::EADDRINUSE), "the root is a folder");
                        continue;
                    }
                    assert_eq!(result, Ok(()), "{ours}");
                    let (reply, reported) = name(&fd, 128);
                    assert_eq!(UnixAddr::from_raw(&reply, reported), Ok(ours), "{ours}");
                    // The kernel counts the NUL behind a path even where it does not fit.
                    let expected = ours.as_pathname().map_or(addr_len, |path| path.len() + 3);
                    assert_eq!(reported, expected, "{ours}");
                    if let Some(path) = ours.as_pathname() {
                        remove_any(path);
                    }
                    bound += 1;
                }
            }
        }
        // 108 lengths, 4 first bytes, a NUL at each place or none; but for "/", alone and cut.
        assert_eq!(bound, 4 * (2..=109).sum::<i32>() - 108);
    });
}

#[test]
fn every_address_that_can_be_made_is_bound_and_comes_back() {
    in_empty_root("kernel::every_address_that_can_be_made_is_bound_and_comes_back", || {
        let (mut paths, mut names) = (0, 0);
        for len in 0..=109 {
            for first in [0, b'@', b'/', b'x'] {
                for nul in 0..=len {
                    let bytes = sun_path(len, first, nul);
                    if let Ok(addr) = UnixAddr::from_abstract_name(&bytes) {
                        assert_eq!(addr.addr_len(), 3 + len);
                        assert_comes_back(&addr);
                        names += 1;
                    } else {
                        assert!(len > 107);
                    }
                    let addr = UnixAddr::from_pathname(&bytes);
                    let good = (1..=108).contains(&len) && !bytes.contains(&0);
                    assert_eq!(addr.is_ok(), good, "{}", bytes.escape_ascii());
                    if let Ok(addr) = addr.and_then(|addr| {
                        assert_eq!(addr.addr_len(), (3 + len).min(110));
                        if len == 1 && first == b'/' {
                            UnixAddr::from_pathname(b"")
                        } else {
                            Ok(addr)
                        }
                    }) {
                        assert_comes_back(&addr);
                        remove_any(&bytes);
                        paths += 1;
                    }
                }
            }
        }
        assert_eq!((paths, names), (3 * 108 - 1, 4 * (1..=108).sum::<i32>()));
    });
}

#[track_caller]
fn assert_comes_back(addr: &UnixAddr) {
    let socket = UnixDatagram::bind(addr).unwrap();
    assert_eq!(socket.local_addr().as_ref(), Ok(addr));
    let (reply, reported) = name(&socket, 128);
    assert_eq!(UnixAddr::from_raw(&reply, reported).as_ref(), Ok(addr));
    // What is behind the bytes that were reported is not looked at.
    assert_eq!(reply[reported..], [0xee; 128][reported..]);
    // As long as any address fits: 110 bytes are enough for the one that is reported as 111.
    let (reply, reported) = name(&socket, 110);
    assert_eq!(UnixAddr::from_raw(&reply[..110], reported).as_ref(), Ok(addr));
}

/// See "A length decides what an address is" in `kernel.md`.
#[test]
fn lengths_that_no_address_has_are_refused_by_the_kernel_too() {
    let bytes = raw::sockaddr(&[b'a'; 254]);
    let _watchdog = common::Watchdog::new();
    for addr_len in [0, 1, 111, 112, 126, 128, 256] {
        assert_eq!(raw::bind_told(&socket(), &bytes, addr_len), Err(libc::EINVAL), "{addr_len}");
    }
    let fd = socket();
    assert_eq!(raw::bind_told(&fd, &bytes, 2), Ok(()));
    assert_eq!(name(&fd, 128).1, 8, "autobound");

    for addr_len in [0, 1, 2, 111, 112, 128, 256] {
        for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET] {
            let connected = raw::connect_told(&raw::socket(kind), &bytes, addr_len);
            assert_eq!(connected, Err(libc::EINVAL), "{addr_len}, type {kind}");
        }
        // To `sendto` no bytes are no address, and there is no peer.
        let expected = if addr_len == 0 { libc::ENOTCONN } else { libc::EINVAL };
        assert_eq!(raw::send_told(&socket(), &bytes, addr_len), Err(expected), "{addr_len}");
    }
}

/// See "A length decides what an address is" in `kernel.md`.
#[test]
fn other_families_are_refused_by_the_kernel_too_but_to_disconnect() {
    let server = common::name("server");
    let receiver = UnixDatagram::bind(&server).unwrap();
    let good = raw::sockaddr(&[b"\0", server.as_abstract_name().unwrap()].concat());
    for family in [libc::AF_UNSPEC, libc::AF_INET] {
        let mut bytes = good.clone();
        bytes[..2].copy_from_slice(&u16::try_from(family).unwrap().to_ne_bytes());
        let len = bytes.len();
        assert_eq!(raw::bind_told(&socket(), &bytes, len), Err(libc::EINVAL));
        assert_eq!(raw::send_told(&socket(), &bytes, len), Err(libc::EINVAL));
        for kind in [libc::SOCK_STREAM, libc::SOCK_SEQPACKET] {
            let connected = raw::connect_told(&raw::socket(kind), &bytes, len);
            assert_eq!(connected, Err(libc::EINVAL), "type {kind}");
        }

        // A datagram socket loses its peer to the one, whatever is behind the family.
        for addr_len in [2, len] {
            let fd = socket();
            assert_eq!(raw::connect_told(&fd, &good, len), Ok(()));
            assert_eq!(raw::send_told(&fd, &good, 0), Ok(1));
            let (done, then) = match family {
                libc::AF_UNSPEC => (Ok(()), Err(libc::ENOTCONN)),
                _ => (Err(libc::EINVAL), Ok(1)),
            };
            assert_eq!(raw::connect_told(&fd, &bytes, addr_len), done);
            assert_eq!(raw::send_told(&fd, &good, 0), then);
        }
        for addr_len in [0, 1] {
            assert_eq!(raw::connect_told(&socket(), &bytes, addr_len), Err(libc::EINVAL));
        }
    }
    drop(receiver);
}

/// See "A full path is reported as 111 bytes" in `kernel.md`.
#[test]
fn paths_of_107_and_108_bytes_go_both_ways() {
    let folder = common::TempDir::new();
    for (len, reported) in [(107, 110), (108, 111)] {
        let addr = common::addr(folder.path_of_len(len));
        assert_eq!(addr.addr_len(), 110);
        let server = UnixDatagram::bind(&addr).unwrap();
        assert_eq!(name(&server, 128).1, reported);
        assert_eq!(server.local_addr(), Ok(addr));
        // As the peer of a connection, as the sender of a message, and to connect to once more.
        let client = UnixDatagram::unbound().unwrap();
        client.connect(&addr).unwrap();
        assert_eq!(client.peer_addr(), Ok(addr));
        server.send_to(b"self", &client.peer_addr().unwrap()).unwrap();
        let (_, from) = server.recv_from(&mut [0; 8]).unwrap();
        assert_eq!(from, addr);
        assert_eq!(from.as_pathname().unwrap().len(), len);
        assert_eq!(from.as_pathname_cstr().unwrap().count_bytes(), len);
        drop(server);
        fs::remove_file(folder.path_of_len(len)).unwrap();

        let listener = UnixListener::bind(&addr).unwrap();
        let client = UnixStream::connect(&addr).unwrap();
        assert_eq!(client.peer_addr(), Ok(addr));
        assert_eq!(listener.accept().unwrap().0.local_addr(), Ok(addr));
    }
}

/// See "An abstract name is its bytes and the socket's type" in `kernel.md`.
#[test]
fn abstract_names_that_differ_in_a_nul_are_different_sockets() {
    let pid = std::process::id().to_string();
    let names: Vec<Vec<u8>> = ["", "\0", "\0\0"]
        .iter()
        .flat_map(|end| [format!("{pid}{end}"), format!("\0{pid}{end}"), format!("{pid}\0x{end}")])
        .map(String::into_bytes)
        .collect();
    let addrs = names.iter().map(|name| UnixAddr::from_abstract_name(name).unwrap());
    let sockets: Vec<_> = addrs.map(|addr| (UnixDatagram::bind(&addr).unwrap(), addr)).collect();
    for (number, (socket, addr)) in sockets.iter().enumerate() {
        assert_eq!(UnixDatagram::bind(addr).err(), Some(Errno::ADDRINUSE));
        UnixDatagram::unbound().unwrap().send_to(&[number.try_into().unwrap()], addr).unwrap();
        let mut buf = [0; 2];
        assert_eq!(socket.recv(&mut buf).unwrap().size, 1);
        assert_eq!(usize::from(buf[0]), number);
        // The same bytes, another type: free.
        drop(UnixListener::bind(addr).unwrap());
        drop(UnixSeqpacket::bind(addr).unwrap());
    }
}

/// The names of no byte and of 107 NULs are shared by the whole machine, so in a namespace.
#[test]
fn the_shortest_and_the_longest_abstract_name_are_names_like_any_other() {
    let test = "kernel::the_shortest_and_the_longest_abstract_name_are_names_like_any_other";
    common::passes_in_child(test, || {
        if !own_namespace() {
            return;
        }
        for name in [&b""[..], &[0; 107], &[0xff; 107]] {
            let addr = UnixAddr::from_abstract_name(name).unwrap();
            assert_comes_back(&addr);
            let listener = UnixListener::bind(&addr).unwrap();
            let client = UnixStream::connect(&addr).unwrap();
            assert_eq!(client.peer_addr().unwrap().kind(), AddrKind::Abstract(name));
            drop(listener);
        }
    });
}

/// See "A name that does not fit is cut in silence" in `kernel.md`.
#[test]
fn a_reply_cut_by_a_small_buffer_is_told_with_both_lengths() {
    let folder = common::TempDir::new();
    for addr in [folder.addr("cut"), common::name("cut")] {
        let socket = UnixDatagram::bind(&addr).unwrap();
        let full = name(&socket, 128).1;
        for room in 0..full {
            let (reply, reported) = name(&socket, room);
            assert_eq!(reported, full, "the length is the true one");
            assert_eq!(reply[room..], [0xee; 128][room..], "nothing is written beyond the room");
            let cut = afunix::DecodeError::Truncated { addr_len: full, have: room };
            assert_eq!(UnixAddr::from_raw(&reply[..room], reported), Err(cut));
        }
    }
}

/// See "Nobody's name" in `kernel.md`.
#[test]
fn an_unnamed_peer_is_two_bytes_from_accept_and_none_from_a_receive() {
    let (listener, server) = UnixListener::autobind().unwrap();
    let _client = UnixStream::connect(&server).unwrap();
    let (connection, from) = listener.accept().unwrap();
    assert_eq!(from, UnixAddr::UNNAMED);
    assert_eq!(connection.peer_addr(), Ok(UnixAddr::UNNAMED));
    let (unnamed, _) = UnixDatagram::pair().unwrap();
    assert_eq!(name(&unnamed, 128).1, 2);

    let (receiver, to) = UnixDatagram::autobind().unwrap();
    UnixDatagram::unbound().unwrap().send_to(b"x", &to).unwrap();
    UnixDatagram::unbound().unwrap().send_to(b"x", &to).unwrap();
    let (mut bytes, mut data) = ([0xee; 128], [0u8; 4]);
    let mut addr_len = libc::socklen_t::try_from(size_of::<libc::sockaddr_un>()).unwrap();
    // SAFETY: both buffers are as long as the call is told.
    let count = unsafe {
        let fd = receiver.as_raw_fd();
        let (data, addr) = (data.as_mut_ptr().cast(), bytes.as_mut_ptr().cast());
        libc::recvfrom(fd, data, 4, 0, addr, &raw mut addr_len)
    };
    assert_eq!((count, addr_len, bytes), (1, 0, [0xee; 128]), "nothing is written at all");
    assert_eq!(UnixAddr::from_raw(&bytes, 0), Ok(UnixAddr::UNNAMED));
    // Nor does an address that is filled in place keep what it held.
    let mut from = to;
    assert_eq!(receiver.recv_from_into(&mut data, &mut from).unwrap().bytes, 1);
    assert_eq!(from, UnixAddr::UNNAMED);
}

/// See "The kernel ends a path at its first NUL" in `kernel.md`.
#[test]
fn a_path_handed_back_after_trailing_garbage_is_the_path() {
    let folder = common::TempDir::new();
    let addr = folder.addr("path");
    let path = addr.as_pathname().unwrap();
    for garbage in [&b"\0GARBAGE"[..], b"\0", b"", &[0; 60]] {
        let fd = socket();
        let bytes = sockaddr_and_more(&[path, garbage].concat());
        raw::bind_told(&fd, &bytes, bytes.len() - 1).unwrap();
        let (reply, reported) = name(&fd, 128);
        assert_eq!(reported, path.len() + 3);
        assert_eq!(UnixAddr::from_raw(&reply, reported), Ok(addr));
        assert_eq!(UnixAddr::from_raw(&bytes, bytes.len() - 1), Ok(addr));
        remove_any(path);
    }
}

#[test]
fn any_call_of_rustix_takes_an_address() {
    let folder = common::TempDir::new();
    for addr in [folder.addr("rustix"), common::addr(folder.path_of_len(108)), common::name("\0")] {
        let server = UnixDatagram::unbound().unwrap();
        rustix::net::bind(&server, &addr).unwrap();
        assert_eq!(server.local_addr(), Ok(addr));
        let client = UnixDatagram::unbound().unwrap();
        let flags = rustix::net::SendFlags::empty();
        rustix::net::sendto(&client, b"first", flags, &addr).unwrap();
        rustix::net::connect(&client, &addr).unwrap();
        assert_eq!(client.peer_addr(), Ok(addr));
        // rustix's own copy of it has the same bytes.
        let any = rustix::net::addr::SocketAddrArg::as_any(&addr);
        assert_eq!(usize::try_from(any.addr_len()).unwrap(), addr.addr_len());
    }
}
