//! Names byte for byte: none added, none lost, none hidden, and no two printed alike.

use std::os::unix::ffi::OsStrExt;

use afunix::{AddrError, AddrKind, UnixAddr, UnixDatagram, UnixListener, UnixStream};

use crate::common::raw;
use crate::common::{TempDir, Watchdog, name, unique};

fn token() -> Vec<u8> {
    format!("afunix-peers-{}-{}", std::process::id(), unique()).into_bytes()
}

/// In rustix 1.1.6 the `Debug` of both is `"x"`.
#[test]
fn path_and_abstract_name_of_the_same_bytes_print_differently() {
    let path = UnixAddr::from_pathname(b"x").unwrap();
    let name = UnixAddr::from_abstract_name(b"x").unwrap();
    assert_ne!(path, name);
    assert_eq!(format!("{path:?}"), "UnixAddr(pathname x)");
    assert_eq!(format!("{name:?}"), "UnixAddr(abstract @x)");
    assert_eq!((path.to_string(), name.to_string()), ("x".to_owned(), "@x".to_owned()));
    // Nor does a path that begins with the sign of abstract names.
    let sign = UnixAddr::from_pathname(b"@x").unwrap();
    assert_ne!(sign.to_string(), name.to_string());
    assert_ne!(format!("{sign:?}"), format!("{name:?}"));
}

/// socket2 0.6.5 makes an address of `"a\0b"`, which is the file `a` to the kernel.
#[test]
fn path_with_a_nul_inside_is_refused() {
    let refused = |position, len| Err(AddrError::InteriorNul { position, len });
    assert_eq!(UnixAddr::from_pathname(b"a\0b"), refused(1, 3));
    // At the end and at the beginning it would do no less harm.
    assert_eq!(UnixAddr::from_pathname(b"a\0"), refused(1, 2));
    assert_eq!(UnixAddr::from_pathname(b"\0a"), refused(0, 2));
    assert_eq!(UnixAddr::parse(b"/a\0b"), refused(2, 4));

    // Control: the kernel cuts the path there, and says nothing.
    let dir = TempDir::new();
    let path = dir.join("a");
    let socket = raw::socket(libc::SOCK_DGRAM);
    raw::bind(&socket, &[path.as_os_str().as_bytes(), b"\0b"].concat()).unwrap();
    assert!(path.exists());
    assert_eq!(raw::getsockname(&socket).addr_len, 2 + path.as_os_str().len() + 1);
}

/// socket2 0.6.5 gives None in `as_unix` for every abstract address.
#[test]
fn abstract_peer_is_seen_in_every_accessor() {
    let _watchdog = Watchdog::new();
    let addr = name("seen");
    let expected = addr.as_raw_bytes()[3..].to_vec();
    let client = UnixDatagram::bind(&addr).unwrap();
    let (server, server_name) = UnixDatagram::autobind().unwrap();
    client.send_to(b"hello", &server_name).unwrap();
    let (_, from) = server.recv_from(&mut [0; 8]).unwrap();

    assert_eq!(from.kind(), AddrKind::Abstract(&expected));
    assert_eq!(from.as_abstract_name(), Some(&expected[..]));
    assert_eq!(from.as_pathname(), None);
    assert_eq!(from.as_pathname_cstr(), None);
    assert!(!from.is_unnamed());
    assert_eq!(from.as_raw_bytes()[2..], [b"\0", &expected[..]].concat());
    assert_eq!(from.to_string(), format!("@{}", expected.escape_ascii()));
    assert_eq!(from, addr);
}

/// mio 1.2.4, and tokio 1.54.1 by way of it, lose the last byte of a name that begins with NUL.
#[test]
fn abstract_name_that_begins_with_nul_keeps_every_byte() {
    let _watchdog = Watchdog::new();
    let own = [b"\0", &token()[..]].concat();
    let (addr, sun_path) =
        (UnixAddr::from_abstract_name(&own).unwrap(), [b"\0", &own[..]].concat());

    // We bind, libc connects.
    let listener = UnixListener::bind(&addr).unwrap();
    assert_eq!(raw::getsockname(&listener).reported()[2..], sun_path);
    assert_eq!(raw::connect(&raw::socket(libc::SOCK_STREAM), &sun_path), Ok(()));
    // Control: one byte less, as counted elsewhere, and nobody is there.
    let short = &sun_path[..sun_path.len() - 1];
    let naive = raw::socket(libc::SOCK_STREAM);
    assert_eq!(raw::connect(&naive, short), Err(libc::ECONNREFUSED));
    drop(listener);

    // libc binds, we connect.
    let foreign = raw::socket(libc::SOCK_STREAM);
    raw::bind(&foreign, &sun_path).unwrap();
    raw::listen(&foreign);
    let client = UnixStream::connect(&addr).unwrap();
    assert_eq!(client.peer_addr(), Ok(addr));
    assert_eq!(client.peer_addr().unwrap().as_abstract_name(), Some(&own[..]));
}
