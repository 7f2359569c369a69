//! Sockets from and to std's.

use std::os::unix::net;
use std::time::Duration;

use afunix::{AsFd, AsRawFd, Errno, OwnedFd, UnixAddr, UnixDatagram, UnixListener, UnixStream};

use crate::common::{Watchdog, identity, name};

/// Takes both flags from what birth gave it: close-on-exec off, non-blocking on.
fn with_other_flags<S: AsRawFd>(socket: S) -> S {
    // SAFETY: numbers alone.
    unsafe {
        assert_eq!(libc::fcntl(socket.as_raw_fd(), libc::F_SETFD, 0), 0);
        let flags = libc::fcntl(socket.as_raw_fd(), libc::F_GETFL);
        assert_eq!(libc::fcntl(socket.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK), 0);
    }
    socket
}

/// To std and back, with the flags of birth and with others: the descriptor is the same, unchanged.
fn keeps<Ours, Theirs>(fresh: impl Fn() -> Ours)
where
    Ours: AsRawFd + From<Theirs>,
    Theirs: AsRawFd + From<Ours>,
{
    for ours in [fresh(), with_other_flags(fresh())] {
        let before = identity(&ours);
        let theirs = Theirs::from(ours);
        assert_eq!(identity(&theirs), before);
        assert_eq!(identity(&Ours::from(theirs)), before);
    }
}

#[test]
fn conversions_keep_the_descriptor_and_its_flags() {
    keeps::<UnixStream, net::UnixStream>(|| UnixStream::unbound().unwrap());
    keeps::<UnixDatagram, net::UnixDatagram>(|| UnixDatagram::unbound().unwrap());
    keeps::<UnixListener, net::UnixListener>(|| UnixListener::autobind().unwrap().0);
}

/// Std checks nothing, and so neither does taking over what std has.
#[test]
fn the_type_is_believed_and_a_descriptor_is_not() {
    let listener = net::UnixStream::from(OwnedFd::from(UnixListener::autobind().unwrap().0));
    let stream = UnixStream::from(listener);
    assert_eq!(stream.read(&mut [0]), Err(Errno::INVAL));
    assert!(UnixStream::try_from(OwnedFd::from(stream)).is_err());
}

#[test]
fn a_timeout_that_std_set_holds_here() {
    let _watchdog = Watchdog::new();
    let (a, _b) = net::UnixStream::pair().unwrap();
    a.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    let a = UnixStream::from(a);
    assert_eq!(a.read(&mut [0]), Err(Errno::AGAIN));
    let a = net::UnixStream::from(a);
    // The kernel rounds it up to its own ticks.
    assert!(a.read_timeout().unwrap() >= Some(Duration::from_millis(10)));
}

#[test]
fn either_side_may_be_std() {
    let _watchdog = Watchdog::new();
    let addr = name("either");
    let listener = UnixListener::bind(&addr).unwrap();
    let client = net::UnixStream::connect_addr(&addr.try_into().unwrap()).unwrap();
    let (server, from) = listener.accept().unwrap();
    assert!(from.is_unnamed());
    let listener = net::UnixListener::from(listener);
    let other_client = UnixStream::connect(&addr).unwrap();
    let (other_server, from) = listener.accept().unwrap();
    assert_eq!(UnixAddr::try_from(from), Ok(UnixAddr::UNNAMED));
    for (a, b) in [(UnixStream::from(client), server), (other_client, other_server.into())] {
        a.write(b"hello").unwrap();
        let mut buf = [0; 8];
        assert_eq!(b.read(&mut buf), Ok(5));
        assert_eq!(a.peer_addr(), Ok(addr));
    }
}

#[test]
fn datagrams_pass_between_std_and_this() {
    let _watchdog = Watchdog::new();
    let (ours, ours_name) = UnixDatagram::autobind().unwrap();
    let theirs_name = name("theirs");
    let theirs = net::UnixDatagram::bind_addr(&theirs_name.try_into().unwrap()).unwrap();
    let mut buf = [0; 8];
    ours.send_to(b"one", &theirs_name).unwrap();
    let (count, from) = theirs.recv_from(&mut buf).unwrap();
    assert_eq!((count, UnixAddr::try_from(&from)), (3, Ok(ours_name)));
    theirs.send_to_addr(b"three", &from).unwrap();
    let (received, from) = ours.recv_from(&mut buf).unwrap();
    assert_eq!((received.bytes, received.size, from), (5, 5, theirs_name));
}

/// With the feature the descriptor types are std's own.
#[test]
fn descriptors_are_std_s() {
    fn takes(_: std::os::fd::BorrowedFd<'_>) {}
    let stream = UnixStream::unbound().unwrap();
    takes(stream.as_fd());
    let _: std::os::fd::OwnedFd = stream.into();
}
