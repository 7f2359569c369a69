//! Datagram sockets that turn to another peer, or to none.

use afunix::{AsFd, Errno, UnixDatagram};

use crate::common::{Watchdog, close, name, open_fds, passes_in_child};

/// Nothing is queued here.
#[track_caller]
fn is_empty(socket: &UnixDatagram) {
    socket.set_nonblocking(true).unwrap();
    assert_eq!(socket.recv(&mut [0; 8]), Err(Errno::AGAIN));
    socket.set_nonblocking(false).unwrap();
}

/// See "A datagram socket that turns to another peer loses its queue" in `kernel.md`.
#[test]
fn disconnect_drops_what_is_queued_and_tells_the_peer() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixDatagram::pair().unwrap();
    b.send(b"lost").unwrap();
    a.send(b"kept").unwrap();
    assert_eq!(a.disconnect(), Ok(()));
    is_empty(&a);
    assert_eq!(a.peer_addr(), Err(Errno::NOTCONN));
    assert_eq!(a.send(b"x"), Err(Errno::NOTCONN));
    // Once; and what was sent the other way is there.
    assert_eq!(b.peek(&mut [0; 8]), Err(Errno::CONNRESET));
    assert_eq!(b.recv(&mut [0; 8]).map(|received| received.size), Ok(4));
    // The peer goes on, and this may connect once more.
    assert_eq!(b.send(b"again"), Ok(5));
    assert_eq!(a.recv(&mut [0; 8]).map(|received| received.size), Ok(5));
}

#[test]
fn disconnect_with_an_empty_queue_tells_nobody() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixDatagram::pair().unwrap();
    let name = a.autobind_to().unwrap();
    assert_eq!(a.disconnect(), Ok(()));
    assert_eq!((a.take_error(), b.take_error()), (Ok(None), Ok(None)));
    assert_eq!(a.local_addr(), Ok(name));
    // Now others may send here.
    let other = UnixDatagram::unbound().unwrap();
    assert_eq!(other.send_to(b"hello", &name), Ok(5));
    // It has no peer: nothing is lost by another call.
    assert_eq!(a.disconnect(), Ok(()));
    assert_eq!(a.recv(&mut [0; 8]).map(|received| received.size), Ok(5));
}

#[test]
fn descriptors_that_are_dropped_are_closed() {
    passes_in_child("disconnecting::descriptors_that_are_dropped_are_closed", || {
        let (a, b) = UnixDatagram::pair().unwrap();
        let (held, closed) = afunix::UnixStream::pair().unwrap();
        b.send_fds(b"lost", &[closed.as_fd()]).unwrap();
        drop(closed);
        let before = open_fds();
        a.disconnect().unwrap();
        assert_eq!(open_fds(), before);
        assert_eq!(held.read(&mut [0; 8]), Ok(0));
    });
}

/// See "A datagram socket that turns to another peer loses its queue" in `kernel.md`.
#[test]
fn connect_to_another_drops_and_to_the_same_does_not() {
    let _watchdog = Watchdog::new();
    let (first, second) = (name("first"), name("second"));
    let one = UnixDatagram::bind(&first).unwrap();
    let two = UnixDatagram::bind(&second).unwrap();
    let (client, own) = UnixDatagram::autobind().unwrap();
    // The first call loses nothing, whoever sent it.
    two.send_to(b"before", &own).unwrap();
    client.connect(&first).unwrap();
    one.connect(&own).unwrap();
    one.send(b"more").unwrap();
    client.connect(&first).unwrap();
    assert_eq!(client.recv(&mut [0; 8]).map(|received| received.size), Ok(6));
    assert_eq!(one.take_error(), Ok(None));
    // Another one does.
    client.connect(&second).unwrap();
    is_empty(&client);
    assert_eq!(one.take_error(), Ok(Some(Errno::CONNRESET)));
    assert_eq!(one.send(b"x"), Err(Errno::PERM));
    // One that was closed and has the name anew is another; until then the old one is gone.
    two.connect(&own).unwrap();
    two.send(b"lost").unwrap();
    close(two);
    let again = UnixDatagram::bind(&second).unwrap();
    client.connect(&second).unwrap();
    is_empty(&client);
    assert_eq!(client.send(b"hello"), Ok(5));
    assert_eq!(again.recv(&mut [0; 8]).map(|received| received.size), Ok(5));
}
