//! Addresses from and to std's.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use afunix::{AddrError, Errno, UnixAddr, UnixDatagram, UnixListener, UnixStream};

use crate::common::{TempDir, Watchdog, unique, with_empty_name};

/// Names of one length: all of one byte, and with a NUL at either end.
fn names(len: usize) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> =
        [0, b'x', b'@', 0xff].iter().map(|&byte| vec![byte; len]).collect();
    for at in [0, len.saturating_sub(1), len / 2] {
        let mut name = vec![b'n'; len];
        name.iter_mut().skip(at).take(1).for_each(|byte| *byte = 0);
        names.push(name);
    }
    names
}

#[test]
fn every_length_of_abstract_name_passes_both_ways_exactly() {
    for len in 0..=107 {
        for name in names(len) {
            let ours = UnixAddr::from_abstract_name(&name).unwrap();
            let theirs = SocketAddr::try_from(&ours).unwrap();
            assert_eq!(theirs.as_abstract_name(), Some(&name[..]));
            assert_eq!(UnixAddr::try_from(&theirs), Ok(ours));
            assert_eq!(UnixAddr::try_from(theirs), Ok(ours));
            let made = SocketAddr::from_abstract_name(&name).unwrap();
            assert_eq!(UnixAddr::try_from(made), Ok(ours));
        }
    }
    assert!(SocketAddr::from_abstract_name([b'x'; 108]).is_err());
}

/// What the kernel makes of an address that was converted, it makes of the original.
fn kernel_agrees(ours: &UnixAddr) {
    let theirs = SocketAddr::try_from(ours).unwrap();
    let bound = net::UnixDatagram::bind_addr(&theirs).unwrap();
    let told = UnixAddr::try_from(bound.local_addr().unwrap());
    assert_eq!(told, Ok(*ours));
    assert_eq!(UnixDatagram::from(bound).local_addr(), Ok(*ours));

    let bound = match ours.as_pathname() {
        Some(path) => {
            std::fs::remove_file(OsStr::from_bytes(path)).unwrap();
            UnixDatagram::bind(ours).unwrap()
        }
        None => UnixDatagram::bind(ours).unwrap(),
    };
    let bound = net::UnixDatagram::from(bound);
    assert_eq!(UnixAddr::try_from(bound.local_addr().unwrap()), Ok(*ours));
    net::UnixDatagram::unbound().unwrap().connect_addr(&theirs).unwrap();
}

#[test]
fn abstract_names_reach_the_kernel_alike() {
    for len in [9, 50, 107] {
        for mut name in names(len) {
            // Nobody else's, and the bytes at both ends as they are.
            let id = (std::process::id() ^ unique() << 22).to_ne_bytes();
            name[1..5].copy_from_slice(&id);
            kernel_agrees(&UnixAddr::from_abstract_name(&name).unwrap());
        }
    }
    with_empty_name(|| kernel_agrees(&UnixAddr::from_abstract_name(b"").unwrap()));
}

#[test]
fn paths_of_up_to_107_bytes_pass_both_ways_exactly() {
    for len in 1..=107 {
        for path in [vec![b'p'; len], vec![0xff; len], vec![b'@'; len]] {
            let ours = UnixAddr::from_pathname(&path).unwrap();
            let theirs = SocketAddr::try_from(&ours).unwrap();
            assert_eq!(theirs.as_pathname().unwrap().as_os_str().as_bytes(), path);
            assert_eq!(UnixAddr::try_from(&theirs), Ok(ours));
            let made = SocketAddr::from_pathname(OsStr::from_bytes(&path)).unwrap();
            assert_eq!(UnixAddr::try_from(made), Ok(ours));
        }
    }
    let folder = TempDir::new();
    for len in [40, 106, 107] {
        kernel_agrees(&UnixAddr::try_from(folder.path_of_len(len).as_path()).unwrap());
    }
}

#[test]
fn unnamed_passes_both_ways() {
    let theirs = SocketAddr::try_from(UnixAddr::UNNAMED).unwrap();
    assert!(theirs.is_unnamed());
    assert_eq!(UnixAddr::try_from(&theirs), Ok(UnixAddr::UNNAMED));
    // As the kernel tells it: of a socket's own name, of a peer, and of a sender.
    let (a, b) = net::UnixDatagram::pair().unwrap();
    a.send(b"x").unwrap();
    let (_, sender) = b.recv_from(&mut [0]).unwrap();
    for told in [a.local_addr().unwrap(), a.peer_addr().unwrap(), sender] {
        assert_eq!(UnixAddr::try_from(&told), Ok(UnixAddr::UNNAMED));
    }
}

/// Std's limit, in both of its ways in; what the kernel tells it of such a path is right. If this
/// fails, std has changed, and `from_std.md` has to.
#[test]
fn a_path_of_108_bytes_is_an_address_here_and_not_to_std() {
    let _watchdog = Watchdog::new();
    let folder = TempDir::new();
    let path = folder.path_of_len(108);
    let ours = UnixAddr::try_from(path.as_path()).unwrap();
    let error = SocketAddr::try_from(&ours).unwrap_err();
    assert_eq!(
        (error.len, error.errno(), Errno::from(error)),
        (108, Errno::NAMETOOLONG, Errno::NAMETOOLONG)
    );
    assert_eq!(SocketAddr::try_from(ours).unwrap_err(), error);
    assert!(net::UnixListener::bind(&path).is_err());

    let listener = net::UnixListener::from(UnixListener::bind(&ours).unwrap());
    let theirs = listener.local_addr().unwrap();
    assert_eq!(theirs.as_pathname(), Some(path.as_path()));
    assert_eq!(UnixAddr::try_from(&theirs), Ok(ours));

    assert!(net::UnixStream::connect(&path).is_err());
    let refused = net::UnixStream::connect_addr(&theirs).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EINVAL));
    let stream = UnixStream::connect(&UnixAddr::try_from(&theirs).unwrap()).unwrap();
    assert_eq!(stream.peer_addr(), Ok(ours));
}

#[test]
fn what_is_no_path_is_an_error() {
    let addr = |path: &[u8]| UnixAddr::try_from(Path::new(OsStr::from_bytes(path)));
    assert_eq!(addr(&[b'p'; 109]), Err(AddrError::PathTooLong { len: 109 }));
    assert_eq!(addr(b"a\0b"), Err(AddrError::InteriorNul { position: 1, len: 3 }));
    assert!(SocketAddr::from_pathname("a\0b").is_err());
    // Std makes the unnamed address of it, and so `bind` has the kernel pick a name.
    assert_eq!(addr(b""), Err(AddrError::EmptyPath));
    assert!(SocketAddr::from_pathname("").unwrap().is_unnamed());
    let bound = net::UnixListener::bind("").unwrap().local_addr().unwrap();
    assert_eq!(UnixAddr::try_from(bound).unwrap().as_abstract_name().map(<[u8]>::len), Some(5));
}
