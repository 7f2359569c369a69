//! Datagrams: who may send to whom, and what is dropped when that changes.

use afunix::{Errno, UnixAddr, UnixDatagram};

use crate::common::{Watchdog, name};

fn named() -> (UnixDatagram, UnixAddr) {
    let (socket, name) = UnixDatagram::autobind().unwrap();
    socket.set_nonblocking(true).unwrap();
    (socket, name)
}

/// Two that are connected to each other by name.
fn mutual() -> ((UnixDatagram, UnixAddr), (UnixDatagram, UnixAddr)) {
    let ((a, a_name), (b, b_name)) = (named(), named());
    a.connect(&b_name).unwrap();
    b.connect(&a_name).unwrap();
    ((a, a_name), (b, b_name))
}

fn size(socket: &UnixDatagram) -> Result<usize, Errno> {
    socket.recv(&mut [0; 16]).map(|received| received.size)
}

/// See "How much is queued" in `kernel.md`.
#[test]
fn datagram_to_a_receiver_that_does_not_answer_waits_behind_a_short_queue() {
    let _watchdog = Watchdog::new();
    let limit = std::fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    let ((receiver, there), (sender, _)) = (named(), named());
    let sent = (0..).take_while(|_| sender.send_to(b"x", &there) == Ok(1)).count();
    assert_eq!(sent, limit + 1);
    assert_eq!(sender.send_to(b"x", &there), Err(Errno::AGAIN));
    sender.connect(&there).unwrap();
    assert_eq!(sender.send(b"x"), Err(Errno::AGAIN));
    // Room for one is room for one.
    assert_eq!(size(&receiver), Ok(1));
    assert_eq!(sender.send(b"x"), Ok(1));
    assert_eq!(sender.send(b"x"), Err(Errno::AGAIN));
    let arrived = (0..).take_while(|_| size(&receiver) == Ok(1)).count();
    assert_eq!(arrived, limit + 1);
}

#[test]
fn datagram_socket_with_a_peer_is_eperm_to_all_others() {
    let _watchdog = Watchdog::new();
    let ((a, a_name), (b, _)) = mutual();
    let (third, third_name) = named();
    assert_eq!(third.send_to(b"x", &a_name), Err(Errno::PERM));
    assert_eq!(third.connect(&a_name), Err(Errno::PERM));
    assert_eq!(third.peer_addr(), Err(Errno::NOTCONN));
    // To itself it is one of the others.
    assert_eq!(a.send_to(b"x", &a_name), Err(Errno::PERM));
    let from = name("from");
    let connected = UnixDatagram::connect_from_to(&from, &a_name);
    assert_eq!(connected.map(drop), Err(Errno::PERM));
    assert!(UnixDatagram::bind(&from).is_ok());
    assert_eq!(size(&a), Err(Errno::AGAIN));

    assert_eq!(a.send_to(b"elsewhere", &third_name), Ok(9));
    assert_eq!(third.recv_from(&mut [0]).unwrap().1, a_name);
    assert_eq!((b.send(b"x"), size(&a)), (Ok(1), Ok(1)));
}

#[test]
fn datagram_send_to_a_peer_that_turned_away_is_eperm() {
    let _watchdog = Watchdog::new();
    let ((a, a_name), (other, other_name)) = (named(), named());
    let (late, _) = named();
    late.connect(&a_name).unwrap();
    assert_eq!(late.send(b"x"), Ok(1));
    a.connect(&other_name).unwrap();
    assert_eq!(late.send(b"x"), Err(Errno::PERM));
    // What came before the first connect stays.
    assert_eq!((size(&a), size(&a)), (Ok(1), Err(Errno::AGAIN)));
    assert_eq!((a.send(b"x"), size(&other)), (Ok(1), Ok(1)));
}

/// See "A datagram that nobody takes empties the sender's own queue" in `kernel.md`.
#[test]
fn datagram_send_to_a_closed_peer_drops_the_own_queue_and_then_is_enotconn() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixDatagram::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    assert_eq!((b.send(b"one"), b.send(b"two")), (Ok(3), Ok(3)));
    drop(b);
    assert_eq!(size(&a), Ok(3));
    assert_eq!(a.send(b"x"), Err(Errno::CONNREFUSED));
    assert_eq!(size(&a), Err(Errno::AGAIN));
    assert_eq!(a.send(b"x"), Err(Errno::NOTCONN));
    assert_eq!(a.peer_addr(), Err(Errno::NOTCONN));
    // It can have another peer.
    let (other, other_name) = named();
    a.connect(&other_name).unwrap();
    assert_eq!((a.send(b"x"), size(&other)), (Ok(1), Ok(1)));
}

#[test]
fn datagram_peer_that_was_made_anew_must_be_connected_to_anew() {
    let _watchdog = Watchdog::new();
    let there = name("there");
    let peer = UnixDatagram::bind(&there).unwrap();
    let (a, a_name) = named();
    a.connect(&there).unwrap();
    drop(peer);
    let again = UnixDatagram::bind(&there).unwrap();
    again.set_nonblocking(true).unwrap();
    // The name is not the peer.
    assert_eq!(a.peer_addr(), Ok(there));
    assert_eq!(a.send(b"x"), Err(Errno::CONNREFUSED));
    assert_eq!(a.send(b"x"), Err(Errno::NOTCONN));
    assert_eq!(a.peer_addr(), Err(Errno::NOTCONN));
    assert_eq!(size(&again), Err(Errno::AGAIN));
    assert_eq!((again.send_to(b"hello", &a_name), size(&a)), (Ok(5), Ok(5)));
    a.connect(&there).unwrap();
    assert_eq!((a.send(b"x"), size(&again)), (Ok(1), Ok(1)));
}

#[test]
fn datagram_send_to_a_name_of_a_closed_socket_keeps_the_own_queue() {
    let _watchdog = Watchdog::new();
    let ((a, a_name), (b, _)) = (named(), named());
    assert_eq!(b.send_to(b"one", &a_name), Ok(3));
    assert_eq!(a.send_to(b"x", &name("nobody")), Err(Errno::CONNREFUSED));
    assert_eq!(size(&a), Ok(3));
}

#[test]
fn datagram_socket_that_turns_to_another_peer_drops_its_queue_and_resets_the_old_one() {
    let _watchdog = Watchdog::new();
    let ((a, _), (b, _)) = mutual();
    let (other, other_name) = named();
    assert_eq!(b.send(b"lost"), Ok(4));
    a.connect(&other_name).unwrap();
    assert_eq!(size(&a), Err(Errno::AGAIN));
    assert_eq!(size(&b), Err(Errno::CONNRESET));
    assert_eq!(size(&b), Err(Errno::AGAIN));
    assert_eq!(b.send(b"x"), Err(Errno::PERM));
    assert_eq!((a.send(b"x"), size(&other)), (Ok(1), Ok(1)));
}

#[test]
fn datagram_send_reports_the_reset_once_too() {
    let _watchdog = Watchdog::new();
    let ((a, a_name), (b, b_name)) = mutual();
    let (_other, other_name) = named();
    assert_eq!(b.send(b"lost"), Ok(4));
    a.connect(&other_name).unwrap();
    assert_eq!(b.send(b"x"), Err(Errno::CONNRESET));
    assert_eq!(b.take_error(), Ok(None));
    a.connect(&b_name).unwrap();
    assert_eq!((b.send(b"x"), size(&a)), (Ok(1), Ok(1)));
    assert_eq!(b.peer_addr(), Ok(a_name));
}

#[test]
fn datagram_socket_that_turns_to_another_peer_with_an_empty_queue_resets_nobody() {
    let _watchdog = Watchdog::new();
    let ((a, _), (b, _)) = mutual();
    let (_other, other_name) = named();
    a.connect(&other_name).unwrap();
    assert_eq!(b.take_error(), Ok(None));
    assert_eq!(size(&b), Err(Errno::AGAIN));
}

#[test]
fn datagram_socket_that_connects_to_the_same_peer_again_keeps_its_queue() {
    let _watchdog = Watchdog::new();
    let ((a, _), (b, b_name)) = mutual();
    assert_eq!(b.send(b"kept"), Ok(4));
    a.connect(&b_name).unwrap();
    assert_eq!(size(&a), Ok(4));
    assert_eq!(b.take_error(), Ok(None));
}

#[test]
fn datagram_connect_that_fails_keeps_the_peer_and_the_queue() {
    let _watchdog = Watchdog::new();
    let ((a, _), (b, b_name)) = mutual();
    assert_eq!(b.send(b"kept"), Ok(4));
    assert_eq!(a.connect(&name("nobody")), Err(Errno::CONNREFUSED));
    assert_eq!(a.connect(&UnixAddr::UNNAMED), Err(Errno::INVAL));
    assert_eq!(a.peer_addr(), Ok(b_name));
    assert_eq!((size(&a), b.take_error()), (Ok(4), Ok(None)));
}

#[test]
fn datagram_to_itself_arrives() {
    let _watchdog = Watchdog::new();
    let (socket, own) = named();
    assert_eq!(socket.send_to(b"note", &own), Ok(4));
    let (received, from) = socket.recv_from(&mut [0; 8]).unwrap();
    assert_eq!((received.size, from), (4, own));
    socket.connect(&own).unwrap();
    assert_eq!((socket.send(b"more"), size(&socket)), (Ok(4), Ok(4)));
}
