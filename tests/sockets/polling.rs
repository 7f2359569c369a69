//! What `poll` says of a socket, and what a call says that comes after it: later, or too late.

use std::thread;

use afunix::{AsRawFd, Errno, Shutdown, UnixDatagram, UnixSeqpacket, UnixStream};

use crate::common::kinds::{Connects, Data, Listens, Socket};
use crate::common::passes::Passes;
use crate::common::{Watchdog, close, name, start_waiting};

for_data!(
    fresh_socket_polls_as_its_type_does
    peer_that_closed_is_a_hangup_but_not_for_datagrams
    peer_that_shut_down_is_half_a_hangup_but_not_for_datagrams
    send_may_have_room_where_poll_says_none
    peer_gone_between_poll_and_send_is_an_error
    peer_gone_between_poll_and_receive_takes_nothing_away
    message_taken_by_another_between_poll_and_receive_is_eagain
);
for_connecting!(
    listener_polls_for_what_is_pending
    socket_that_waits_for_a_place_polls_as_if_it_had_one
    reset_is_polled_until_it_was_told
    client_gone_between_poll_and_accept_is_accepted_all_the_same
    connection_taken_by_another_between_poll_and_accept_is_eagain
    listener_gone_between_poll_and_connect_is_econnrefused
);

const IN: i16 = libc::POLLIN;
const OUT: i16 = libc::POLLOUT;
const ERR: i16 = libc::POLLERR;
const HUP: i16 = libc::POLLHUP;
const RDHUP: i16 = libc::POLLRDHUP;

fn poll(socket: &impl AsRawFd, events: i16, milliseconds: i32) -> i16 {
    let mut entry = libc::pollfd { fd: socket.as_raw_fd(), events, revents: 0 };
    // SAFETY: one structure, as the call is told.
    assert!(unsafe { libc::poll(&raw mut entry, 1, milliseconds) } >= 0);
    entry.revents
}

/// All that `poll` says now.
fn now(socket: &impl AsRawFd) -> i16 {
    poll(socket, IN | OUT | RDHUP, 0)
}

fn is_datagram<T: Socket>() -> bool {
    T::TYPE == libc::SOCK_DGRAM
}

/// What a receive gives that has nothing more to come: a datagram socket is not told so.
fn the_end<T: Data>(socket: &T) {
    socket.set_nonblocking(true).unwrap();
    let end = if is_datagram::<T>() { Err(Errno::AGAIN) } else { Ok(0) };
    assert_eq!(socket.get(&mut [0; 8]), end);
}

/// See "What poll says" in `kernel.md`.
fn fresh_socket_polls_as_its_type_does<T: Data>(_: &str) {
    let hangs = if is_datagram::<T>() { 0 } else { HUP };
    assert_eq!(now(&T::unbound().unwrap()), OUT | hangs);
    assert_eq!(now(&T::bind(&name("bound")).unwrap()), OUT | hangs);
    let (a, b) = T::pair().unwrap();
    assert_eq!((now(&a), now(&b)), (OUT, OUT));
    a.put(b"x").unwrap();
    assert_eq!((now(&a), now(&b)), (OUT, OUT | IN));
}

fn listener_polls_for_what_is_pending<T: Connects>(_: &str) {
    let (listener, server) = T::Listener::autobind().unwrap();
    assert_eq!(now(&listener), 0);
    let client = T::connect(&server).unwrap();
    assert_eq!((now(&listener), now(&client)), (IN, OUT));
    close(client);
    assert_eq!(now(&listener), IN);
    listener.accept().unwrap();
    assert_eq!(now(&listener), 0);
    listener.shutdown(Shutdown::Read).unwrap();
    assert_eq!(now(&listener) & (IN | RDHUP), IN | RDHUP);
}

/// See "A backlog of n admits n + 1" in `kernel.md`: who waited for `poll` would call without end.
fn socket_that_waits_for_a_place_polls_as_if_it_had_one<T: Connects>(_: &str) {
    let server = name("server");
    let listener = T::Listener::bind_with_backlog(&server, 0).unwrap();
    let _first = T::connect(&server).unwrap();
    let late = T::unbound().unwrap();
    late.set_nonblocking(true).unwrap();
    for _ in 0..3 {
        assert_eq!(late.connect_to(&server), Err(Errno::AGAIN));
        assert_eq!(now(&late), OUT | HUP);
        assert_eq!(late.take_error(), Ok(None));
    }
    listener.accept().unwrap();
    assert_eq!(now(&late), OUT | HUP);
    assert_eq!(late.connect_to(&server), Ok(()));
    assert_eq!(now(&late), OUT);
}

/// See "What poll says" in `kernel.md`.
fn peer_that_closed_is_a_hangup_but_not_for_datagrams<T: Data>(_: &str) {
    let (a, b) = T::pair().unwrap();
    b.put(b"last").unwrap();
    close(b);
    let gone = if is_datagram::<T>() { OUT } else { OUT | HUP | RDHUP };
    assert_eq!(now(&a), gone | IN);
    assert_eq!(a.get(&mut [0; 8]), Ok(4));
    // The end is there to be read.
    assert_eq!(now(&a), if is_datagram::<T>() { gone } else { gone | IN });
    the_end(&a);
    let refused = if is_datagram::<T>() { Errno::CONNREFUSED } else { Errno::PIPE };
    assert_eq!(a.put(b"x"), Err(refused));
    let again = if is_datagram::<T>() { Errno::NOTCONN } else { Errno::PIPE };
    assert_eq!(a.put(b"x"), Err(again));
}

fn peer_that_shut_down_is_half_a_hangup_but_not_for_datagrams<T: Data>(_: &str) {
    let (a, b) = T::pair().unwrap();
    b.shutdown(Shutdown::Write).unwrap();
    assert_eq!(now(&a), if is_datagram::<T>() { OUT } else { OUT | IN | RDHUP });
    the_end(&a);
    b.shutdown(Shutdown::Read).unwrap();
    assert_eq!(now(&a), if is_datagram::<T>() { OUT } else { OUT | IN | RDHUP | HUP });
    assert_eq!(a.put(b"x"), Err(Errno::PIPE));
}

/// See "An empty message" in `kernel.md`: the receive is the same, `poll` is not.
#[test]
fn empty_packet_is_no_hangup() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixSeqpacket::pair().unwrap();
    b.send(b"").unwrap();
    assert_eq!(now(&a), OUT | IN);
    assert_eq!(a.recv(&mut [0; 8]).unwrap().size, 0);
    assert_eq!(now(&a), OUT);
    close(b);
    assert_eq!(now(&a), OUT | IN | HUP | RDHUP);
    assert_eq!(a.recv(&mut [0; 8]).unwrap().size, 0);
}

/// See "The end with data unread" in `kernel.md`.
fn reset_is_polled_until_it_was_told<T: Connects>(_: &str) {
    let gone = OUT | IN | HUP | RDHUP;
    let reset = || {
        let (a, b) = T::pair().unwrap();
        a.put(b"unread").unwrap();
        close(b);
        assert_eq!(now(&a), gone | ERR);
        a
    };
    let socket = reset();
    assert_eq!(socket.take_error(), Ok(Some(Errno::CONNRESET)));
    assert_eq!(now(&socket), gone);
    assert_eq!(socket.get(&mut [0; 8]), Ok(0));

    let socket = reset();
    assert_eq!(socket.get(&mut [0; 8]), Err(Errno::CONNRESET));
    assert_eq!(now(&socket), gone);

    // A send takes it from a seqpacket socket alone.
    let (socket, is_stream) = (reset(), T::TYPE == libc::SOCK_STREAM);
    let expected = if is_stream { Errno::PIPE } else { Errno::CONNRESET };
    assert_eq!(socket.put(b"x"), Err(expected));
    assert_eq!(now(&socket), if is_stream { gone | ERR } else { gone });
}

/// See "What poll says" in `kernel.md`.
#[test]
fn datagram_sender_without_a_peer_polls_writable_whatever_is_full() {
    let _watchdog = Watchdog::new();
    let (receiver, there) = UnixDatagram::autobind().unwrap();
    let [alone, connected] = [(); 2].map(|()| UnixDatagram::unbound().unwrap());
    connected.connect(&there).unwrap();
    assert_eq!((now(&alone), now(&connected)), (OUT, OUT));
    for socket in [&alone, &connected] {
        socket.set_nonblocking(true).unwrap();
    }
    while alone.send_to(b"x", &there).is_ok() {}
    assert_eq!(alone.send_to(b"x", &there), Err(Errno::AGAIN));
    assert_eq!(connected.send(b"x"), Err(Errno::AGAIN));
    assert_eq!((now(&alone), now(&connected)), (OUT, 0));
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || poll(&connected, OUT, 20_000));
        let _ = receiver.recv(&mut [0; 8]).unwrap();
        assert_eq!(waiting.join().unwrap(), OUT);
    });
    assert_eq!(connected.send(b"x"), Ok(1));
    assert_eq!((now(&alone), now(&connected)), (OUT, 0));
    // Who waits for room at a receiver that closes is woken for the error.
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || poll(&connected, OUT, 20_000));
        close(receiver);
        assert_eq!(waiting.join().unwrap() & OUT, OUT);
    });
    assert_eq!(connected.send(b"x"), Err(Errno::CONNREFUSED));
    assert_eq!(alone.send_to(b"x", &there), Err(Errno::CONNREFUSED));
}

/// See "What poll says" in `kernel.md`.
fn send_may_have_room_where_poll_says_none<T: Data>(_: &str) {
    let (a, b) = T::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    let (mut before, mut after) = (0, 0);
    loop {
        let writable = now(&a) & OUT != 0;
        match a.put(&[1; 1000]) {
            Ok(1000) if writable => before += 1,
            // It is never told to be writable again before something was read.
            Ok(_) => {
                assert!(!writable);
                after += 1;
            }
            Err(error) => break assert_eq!((error, writable), (Errno::AGAIN, false)),
        }
    }
    // A quarter of the buffer is filled when it stops.
    assert!(before > 0 && after > before, "{before} {after}");
    close(b);
}

/// What a send is told whose peer is gone.
fn is_refused<T: Passes>(call: impl FnOnce(&T) -> Result<(), Errno>) {
    let (a, b) = T::pair().unwrap();
    assert_eq!(now(&a), OUT);
    close(b);
    let expected = if is_datagram::<T>() { Errno::CONNREFUSED } else { Errno::PIPE };
    assert_eq!(call(&a), Err(expected));
}

fn peer_gone_between_poll_and_send_is_an_error<T: Passes>(_: &str) {
    is_refused::<T>(|socket| socket.put(b"x").map(drop));
    is_refused::<T>(|socket| {
        let sent = socket.send_fds(b"x", &[socket.as_fd()]);
        sent.map(drop).map_err(|error| error.errno())
    });
    // With something of ours unread, what was polled is still told, in the type's own way.
    let (a, b) = T::pair().unwrap();
    a.put(b"unread").unwrap();
    assert_eq!(now(&a), OUT);
    close(b);
    let expected = match T::TYPE {
        libc::SOCK_STREAM => Errno::PIPE,
        libc::SOCK_DGRAM => Errno::CONNREFUSED,
        _ => Errno::CONNRESET,
    };
    assert_eq!(a.put(b"x"), Err(expected));
}

fn peer_gone_between_poll_and_receive_takes_nothing_away<T: Passes>(_: &str) {
    let (a, b) = T::pair().unwrap();
    b.put(b"last").unwrap();
    assert_eq!(now(&a), OUT | IN);
    close(b);
    assert_eq!(a.get(&mut [0; 8]), Ok(4));
    the_end(&a);

    let (a, b) = T::pair().unwrap();
    b.send_fds(b"last", &[a.as_fd()]).unwrap();
    assert_eq!(now(&a), OUT | IN);
    close(b);
    let (received, [fd]) = a.recv_fds_exact::<1>(&mut [0; 8]).unwrap();
    assert_eq!(received.bytes, 4);
    drop(fd);
    the_end(&a);
    a.set_nonblocking(true).unwrap();
    let end = a.recv_fds::<1>(&mut [0; 8]).map(|(received, fds)| (received.bytes, fds.len()));
    let end = end.map_err(|error| error.errno());
    assert_eq!(end, if is_datagram::<T>() { Err(Errno::AGAIN) } else { Ok((0, 0)) });
}

/// See "A datagram that nobody takes empties the sender's own queue" in `kernel.md`: after `poll`, a
/// call that may wait could wait for ever.
#[test]
fn datagram_dropped_between_poll_and_receive_is_eagain() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixDatagram::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.send(b"lost").unwrap();
    assert_eq!(now(&a), OUT | IN);
    close(b);
    assert_eq!(a.send(b"x"), Err(Errno::CONNREFUSED));
    assert_eq!(a.recv(&mut [0; 8]), Err(Errno::AGAIN));
    assert_eq!(now(&a), OUT);
}

fn message_taken_by_another_between_poll_and_receive_is_eagain<T: Data>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let other = T::try_from(rustix::io::fcntl_dupfd_cloexec(&a, 0).unwrap()).unwrap();
    a.set_nonblocking(true).unwrap();
    b.put(b"once").unwrap();
    assert_eq!((now(&a), now(&other)), (OUT | IN, OUT | IN));
    assert_eq!(other.get(&mut [0; 8]), Ok(4));
    assert_eq!(a.get(&mut [0; 8]), Err(Errno::AGAIN));
}

fn client_gone_between_poll_and_accept_is_accepted_all_the_same<T: Connects>(_: &str) {
    let (listener, server) = T::Listener::autobind().unwrap();
    let client = T::connect(&server).unwrap();
    assert_eq!(now(&listener), IN);
    close(client);
    // Neither an error nor a wait for the next one.
    let (connection, from) = listener.accept().unwrap();
    assert!(from.is_unnamed());
    assert_eq!(connection.put(b"x"), Err(Errno::PIPE));
    assert_eq!(connection.get(&mut [0; 8]), Ok(0));
}

fn connection_taken_by_another_between_poll_and_accept_is_eagain<T: Connects>(_: &str) {
    let (listener, server) = T::Listener::autobind().unwrap();
    let duplicate = rustix::io::fcntl_dupfd_cloexec(&listener, 0).unwrap();
    let other = T::Listener::try_from(duplicate).unwrap();
    listener.set_nonblocking(true).unwrap();
    let _client = T::connect(&server).unwrap();
    assert_eq!((now(&listener), now(&other)), (IN, IN));
    other.accept().unwrap();
    assert_eq!(listener.accept().map(drop), Err(Errno::AGAIN));
}

fn listener_gone_between_poll_and_connect_is_econnrefused<T: Connects>(_: &str) {
    let (listener, server) = T::Listener::autobind().unwrap();
    let client = T::unbound().unwrap();
    assert_eq!(now(&client), OUT | HUP);
    close(listener);
    assert_eq!(client.connect_to(&server), Err(Errno::CONNREFUSED));
    assert_eq!(client.put(b"x"), Err(Errno::NOTCONN));
    assert_eq!(now(&client), OUT | HUP);
}

/// The end is the end on each call, and each time.
#[test]
fn stream_polls_readable_at_the_end_as_often_as_it_is_asked() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    b.shutdown(Shutdown::Write).unwrap();
    for _ in 0..3 {
        assert_eq!(now(&a) & (IN | RDHUP), IN | RDHUP);
        assert_eq!(a.read(&mut [0; 8]), Ok(0));
    }
}
