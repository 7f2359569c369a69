//! Tables of addresses with what each call says to them.

// Two programs use it, each a part.
#![allow(dead_code)]

use std::any::TypeId;
use std::path::Path;

use afunix::{Errno, OwnedFd, UnixAddr, UnixDatagram};

use crate::common::kinds::{Data, Socket};
use crate::common::{addr, keeping_errno, snapshot};

pub const OK: Result<(), Errno> = Ok(());
pub const ACCES: Result<(), Errno> = Err(Errno::ACCESS);
pub const IN_USE: Result<(), Errno> = Err(Errno::ADDRINUSE);
pub const LOOP: Result<(), Errno> = Err(Errno::LOOP);
pub const NOT_DIR: Result<(), Errno> = Err(Errno::NOTDIR);
pub const NO_ENT: Result<(), Errno> = Err(Errno::NOENT);
pub const PROTOTYPE: Result<(), Errno> = Err(Errno::PROTOTYPE);
pub const REFUSED: Result<(), Errno> = Err(Errno::CONNREFUSED);
pub const ROFS: Result<(), Errno> = Err(Errno::ROFS);

/// A path, relative to the folder of the test unless it begins with `/`; what `bind` says to it;
/// and what `connect` and `send_to` say.
pub type Row = (&'static str, Result<(), Errno>, Result<(), Errno>);

type Bind = fn(&UnixAddr) -> Result<(), Errno>;

/// Tries every way to bind each path. `spare` is a folder in which any name can be bound.
pub fn check_bind<T: Data>(folder: &Path, spare: &Path, rows: &[Row]) {
    for &(case, expected, _) in rows {
        let (path, before) = (folder.join(case), snapshot(folder));
        let target = addr(&path);
        let ways: [(&str, Bind); 3] = [
            ("bind", |addr| T::bind(addr).map(drop)),
            ("serve", |addr| T::serve(addr).map(drop)),
            ("connect_from_to", |addr| T::connect_from_to(addr, &UnixAddr::UNNAMED).map(drop)),
        ];
        for (way, call) in ways {
            // What follows a good bind there must fail, and the file be gone again.
            let expected =
                if way == "connect_from_to" { expected.and(Err(Errno::INVAL)) } else { expected };
            assert_eq!(keeping_errno(|| call(&target)), expected, "{way} to {case}");
            if expected.is_ok() {
                std::fs::remove_file(&path).unwrap();
            }
            assert_eq!(snapshot(folder), before, "{way} to {case} changed files");
        }

        let socket = T::unbound().unwrap();
        assert_eq!(keeping_errno(|| socket.bind_to(&target)), expected, "bind_to {case}");
        if expected.is_ok() {
            assert_eq!(socket.local_addr(), Ok(target), "{case}");
            std::fs::remove_file(&path).unwrap();
        } else {
            assert!(socket.local_addr().unwrap().is_unnamed(), "{case}");
            let usable = addr(spare.join("usable"));
            assert_eq!(socket.bind_to(&usable), OK, "the socket after {case}");
            std::fs::remove_file(spare.join("usable")).unwrap();
        }
        assert_eq!(snapshot(folder), before, "bind_to {case} changed files");
    }
}

/// Tries every way to reach each path. `good` is an address that can be connected to.
pub fn check_connect<T: Data + 'static>(folder: &Path, good: &UnixAddr, rows: &[Row]) {
    for &(case, _, expected) in rows {
        check_reach::<T>(&addr(folder.join(case)), case, expected, folder, good);
    }
}

/// [`check_connect`] for one address, which need not be a path.
pub fn check_reach<T: Data + 'static>(
    target: &UnixAddr,
    case: &str,
    expected: Result<(), Errno>,
    folder: &Path,
    good: &UnixAddr,
) {
    let before = snapshot(folder);
    let socket = T::unbound().unwrap();
    assert_eq!(keeping_errno(|| socket.connect_to(target)), expected, "connect_to {case}");
    if expected.is_err() {
        assert_eq!(socket.peer_addr(), Err(Errno::NOTCONN), "{case}");
        assert!(socket.local_addr().unwrap().is_unnamed(), "{case}");
        assert_eq!(socket.connect_to(good), OK, "the socket after {case}");
    }
    assert_eq!(socket.put(b"x"), Ok(1), "the socket after {case}");

    let from = crate::common::name("from");
    let client = keeping_errno(|| T::connect_from_to(&from, target));
    assert_eq!(client.as_ref().map(drop), expected.as_ref().map(drop), "connect_from_to {case}");
    drop(client);
    assert!(T::bind(&from).is_ok(), "connect_from_to {case} kept its name");

    if TypeId::of::<T>() == TypeId::of::<UnixDatagram>() {
        let sender = UnixDatagram::unbound().unwrap();
        let sent = keeping_errno(|| sender.send_to(b"x", target));
        assert_eq!(sent, expected.map(|()| 1), "send_to {case}");
        assert_eq!(sender.send_to(b"x", good), Ok(1), "the sender after {case}");
    }
    assert_eq!(snapshot(folder), before, "reaching {case} changed files");
}

/// A socket of a type that is not `T`, at `target`.
pub fn other_type<T: Socket>(target: &UnixAddr) -> OwnedFd {
    if T::TYPE == libc::SOCK_DGRAM {
        afunix::UnixListener::bind(target).unwrap().into()
    } else {
        UnixDatagram::bind(target).unwrap().into()
    }
}

/// Reads away what is sent to a datagram socket, whose queue would fill in the course of a table.
/// The thread ends with the test process.
pub fn drained(fd: OwnedFd) -> OwnedFd {
    let reader = rustix::io::fcntl_dupfd_cloexec(&fd, 0).unwrap();
    std::thread::spawn(move || {
        let reader = UnixDatagram::try_from(reader);
        while reader.as_ref().is_ok_and(|reader| reader.recv(&mut [0]).is_ok()) {}
    });
    fd
}
