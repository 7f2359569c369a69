//! Signals that come while a call waits: each is `EINTR`, costs nothing, and is not hidden.

use afunix::{Errno, IoSlice, IoSliceMut, UnixAddr, UnixDatagram, UnixStream};

use crate::common::interrupt::interrupt;
use crate::common::kinds::{Connects, Data, Listens, Socket};
use crate::common::{TempDir, Watchdog, name, open_fds, passes_in_child, snapshot};

for_data!(
    receive_that_is_interrupted_says_eintr_and_the_next_gets_the_message
    send_that_is_interrupted_says_eintr_and_sent_nothing
);
for_connecting!(
    accept_that_is_interrupted_says_eintr_and_the_next_gets_the_connection
    connect_to_a_full_backlog_that_is_interrupted_says_eintr_and_can_be_called_again
    constructor_that_is_interrupted_leaves_no_descriptor_no_connection_and_no_file
);

fn receive_that_is_interrupted_says_eintr_and_the_next_gets_the_message<T: Data>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        let mut buf = [7; 4];
        assert_eq!(interrupt(|| b.get(&mut buf)), Err(Errno::INTR));
        assert_eq!(buf, [7; 4]);
        assert_eq!(a.put(b"word"), Ok(4));
        assert_eq!(b.get(&mut buf), Ok(4));
        assert_eq!(&buf, b"word");
    });
}

#[test]
fn vectored_read_that_is_interrupted_says_eintr_and_the_next_gets_the_bytes() {
    const TEST: &str =
        "interrupted::vectored_read_that_is_interrupted_says_eintr_and_the_next_gets_the_bytes";
    let _watchdog = Watchdog::new();
    passes_in_child(TEST, || {
        let (a, b) = UnixStream::pair().unwrap();
        let mut buf = [7; 4];
        let read = interrupt(|| b.read_vectored(&mut [IoSliceMut::new(&mut buf)]));
        assert_eq!((read, buf), (Err(Errno::INTR), [7; 4]));
        assert_eq!(a.write(b"word"), Ok(4));
        assert_eq!(b.read_vectored(&mut [IoSliceMut::new(&mut buf)]), Ok(4));
        assert_eq!(&buf, b"word");
    });
}

#[test]
fn recv_from_that_is_interrupted_says_eintr_and_leaves_the_address() {
    const TEST: &str =
        "interrupted::recv_from_that_is_interrupted_says_eintr_and_leaves_the_address";
    let _watchdog = Watchdog::new();
    passes_in_child(TEST, || {
        let (socket, own) = UnixDatagram::autobind().unwrap();
        let (before, mut buf) = (name("before"), [7; 4]);
        let mut from = before;
        let received = interrupt(|| socket.recv_from_into(&mut buf, &mut from));
        assert_eq!(received.map(drop), Err(Errno::INTR));
        assert_eq!((from, buf), (before, [7; 4]));
        assert_eq!(interrupt(|| socket.recv_from(&mut [0; 4])).map(drop), Err(Errno::INTR));
        assert_eq!(socket.send_to(b"word", &own), Ok(4));
        let (received, from) = socket.recv_from(&mut buf).unwrap();
        assert_eq!((received.size, from, &buf), (4, own, b"word"));
    });
}

/// Sends until there is no room, and says how many bytes that took.
fn fill<T: Data>(socket: &T) -> usize {
    socket.set_nonblocking(true).unwrap();
    let mut sent = 0;
    // Small pieces, so that in the end there is no room for a single byte.
    for piece in [&[1; 4096][..], &[1]] {
        loop {
            match socket.put(piece) {
                Ok(count) => sent += count,
                Err(error) => break assert_eq!(error, Errno::AGAIN),
            }
        }
    }
    socket.set_nonblocking(false).unwrap();
    sent
}

/// Receives until there is nothing, and says how many bytes there were.
fn drain<T: Data>(socket: &T) -> usize {
    socket.set_nonblocking(true).unwrap();
    let (mut received, mut buf) = (0, [0; 4096]);
    loop {
        match socket.get(&mut buf) {
            Ok(count) => received += count,
            Err(error) => break assert_eq!(error, Errno::AGAIN),
        }
    }
    socket.set_nonblocking(false).unwrap();
    received
}

fn send_that_is_interrupted_says_eintr_and_sent_nothing<T: Data>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        let sent = fill(&a);
        assert_eq!(interrupt(|| a.put(b"more")), Err(Errno::INTR));
        assert_eq!(drain(&b), sent);
        assert_eq!(a.put(b"more"), Ok(4));
        assert_eq!(drain(&b), 4);
    });
}

#[test]
fn send_to_a_full_queue_that_is_interrupted_says_eintr_and_sent_nothing() {
    const TEST: &str =
        "interrupted::send_to_a_full_queue_that_is_interrupted_says_eintr_and_sent_nothing";
    let _watchdog = Watchdog::new();
    passes_in_child(TEST, || {
        let (receiver, there) = UnixDatagram::autobind().unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while sender.send_to(b"x", &there).is_ok() {
            sent += 1;
        }
        sender.set_nonblocking(false).unwrap();
        assert_eq!(interrupt(|| sender.send_to(b"more", &there)), Err(Errno::INTR));
        assert_eq!(drain(&receiver), sent);
        assert_eq!(sender.send_to(b"more", &there), Ok(4));
    });
}

#[test]
fn write_that_is_interrupted_half_way_says_how_much_was_written() {
    const TEST: &str = "interrupted::write_that_is_interrupted_half_way_says_how_much_was_written";
    let _watchdog = Watchdog::new();
    passes_in_child(TEST, || {
        let bytes = vec![1; 4 << 20];
        type Write = fn(&UnixStream, &[u8]) -> Result<usize, Errno>;
        let vectored: Write = |stream, bytes| stream.write_vectored(&[IoSlice::new(bytes)]);
        for write in [UnixStream::write as Write, vectored] {
            let (a, b) = UnixStream::pair().unwrap();
            let written = interrupt(|| write(&a, &bytes)).unwrap();
            assert!(0 < written && written < bytes.len(), "{written}");
            assert_eq!(drain(&b), written);
        }
    });
}

fn accept_that_is_interrupted_says_eintr_and_the_next_gets_the_connection<T: Connects>(test: &str) {
    passes_in_child(test, || {
        let (listener, server) = T::Listener::autobind().unwrap();
        let before = name("before");
        let mut from = before;
        assert_eq!(interrupt(|| listener.accept_into(&mut from)).map(drop), Err(Errno::INTR));
        assert_eq!(from, before);
        assert_eq!(interrupt(|| listener.accept()).map(drop), Err(Errno::INTR));
        let client = T::connect(&server).unwrap();
        let connection = listener.accept_into(&mut from).unwrap();
        assert!(from.is_unnamed());
        assert_eq!(client.put(b"x"), Ok(1));
        assert_eq!(connection.get(&mut [0]), Ok(1));
    });
}

/// A listener that admits one, and the one.
fn full<T: Connects>() -> (T::Listener, UnixAddr, T) {
    let server = name("server");
    let listener = T::Listener::bind_with_backlog(&server, 0).unwrap();
    let client = T::connect(&server).unwrap();
    (listener, server, client)
}

fn connect_to_a_full_backlog_that_is_interrupted_says_eintr_and_can_be_called_again<T: Connects>(
    test: &str,
) {
    passes_in_child(test, || {
        let (listener, server, _first) = full::<T>();
        let late = T::unbound().unwrap();
        assert_eq!(interrupt(|| late.connect_to(&server)), Err(Errno::INTR));
        assert_eq!(late.peer_addr(), Err(Errno::NOTCONN));
        drop(listener.accept().unwrap());
        assert_eq!(late.connect_to(&server), Ok(()));
        assert_eq!(late.put(b"x"), Ok(1));
        assert_eq!(listener.accept().unwrap().0.get(&mut [0]), Ok(1));
    });
}

fn constructor_that_is_interrupted_leaves_no_descriptor_no_connection_and_no_file<T: Connects>(
    test: &str,
) {
    passes_in_child(test, || {
        let (listener, server, _first) = full::<T>();
        let folder = TempDir::new();
        let fds = open_fds();
        assert_eq!(interrupt(|| T::connect(&server)).map(drop), Err(Errno::INTR));
        let from = folder.addr("from");
        let connected = interrupt(|| T::connect_from_to(&from, &server));
        assert_eq!(connected.map(drop), Err(Errno::INTR));
        assert_eq!(open_fds(), fds);
        assert_eq!(snapshot(folder.path()), []);
        drop(listener.accept().unwrap());
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().map(drop), Err(Errno::AGAIN));
    });
}
