//! Ends: shutting down one way or both, and closing with something unread.

use afunix::{Errno, Shutdown, UnixDatagram, UnixSeqpacket, UnixStream};

use crate::common::kinds::{Connects, Data, Listens, Socket};
use crate::common::{close, name};

for_data!(
    shutdown_of_writing_is_epipe_here_and_harms_nothing_that_was_sent
    shutdown_of_reading_is_epipe_there_and_leaves_what_is_queued
    shutdown_of_both_ends_both
    shutdown_is_for_all_who_hold_the_socket
    shutdown_of_a_socket_without_a_peer_is_fine
);
for_connecting!(
    peer_that_closed_with_nothing_unread_gives_its_data_and_then_the_end
    peer_that_closed_with_our_data_unread_is_econnreset_once
    reset_is_taken_once_by_take_error
    listener_shut_for_reading_refuses_and_stays_shut
    listener_has_no_pending_error
);

fn nonblocking_pair<T: Data>() -> (T, T) {
    let (a, b) = T::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    (a, b)
}

/// What there is to receive where nothing comes any more: for datagrams there is no end.
fn the_end<T: Data>() -> Result<usize, Errno> {
    if T::TYPE == libc::SOCK_DGRAM { Err(Errno::AGAIN) } else { Ok(0) }
}

fn shutdown_of_writing_is_epipe_here_and_harms_nothing_that_was_sent<T: Data>(_: &str) {
    let (a, b) = nonblocking_pair::<T>();
    assert_eq!(a.put(b"sent"), Ok(4));
    a.shutdown(Shutdown::Write).unwrap();
    assert_eq!(a.put(b"x"), Err(Errno::PIPE));
    assert_eq!(b.get(&mut [0; 8]), Ok(4));
    assert_eq!(b.get(&mut [0; 8]), the_end::<T>());
    assert_eq!(b.put(b"answer"), Ok(6));
    assert_eq!(a.get(&mut [0; 8]), Ok(6));
    assert_eq!(a.get(&mut [0; 8]), Err(Errno::AGAIN));
}

fn shutdown_of_reading_is_epipe_there_and_leaves_what_is_queued<T: Data>(_: &str) {
    let (a, b) = nonblocking_pair::<T>();
    assert_eq!(a.put(b"sent"), Ok(4));
    b.shutdown(Shutdown::Read).unwrap();
    assert_eq!(a.put(b"x"), Err(Errno::PIPE));
    assert_eq!(b.get(&mut [0; 8]), Ok(4));
    assert_eq!(b.get(&mut [0; 8]), the_end::<T>());
    assert_eq!(b.put(b"answer"), Ok(6));
    assert_eq!(a.get(&mut [0; 8]), Ok(6));
}

fn shutdown_of_both_ends_both<T: Data>(_: &str) {
    let (a, b) = nonblocking_pair::<T>();
    assert_eq!((a.put(b"there"), b.put(b"here")), (Ok(5), Ok(4)));
    a.shutdown(Shutdown::Both).unwrap();
    assert_eq!((a.put(b"x"), b.put(b"x")), (Err(Errno::PIPE), Err(Errno::PIPE)));
    assert_eq!((a.get(&mut [0; 8]), b.get(&mut [0; 8])), (Ok(4), Ok(5)));
    assert_eq!((a.get(&mut [0; 8]), b.get(&mut [0; 8])), (the_end::<T>(), the_end::<T>()));
    assert!(a.peer_addr().is_ok());
}

/// With nothing to wait for, a call that would wait says the end, for datagrams as well.
#[test]
fn datagram_recv_that_would_wait_is_empty_after_shutdown_of_reading() {
    let _watchdog = crate::common::Watchdog::new();
    let (a, b) = UnixDatagram::pair().unwrap();
    b.shutdown(Shutdown::Read).unwrap();
    assert_eq!(b.get(&mut [0; 8]), Ok(0));
    assert_eq!(b.send(b"x"), Ok(1));
    assert_eq!(a.get(&mut [0; 8]), Ok(1));
}

fn shutdown_is_for_all_who_hold_the_socket<T: Data>(_: &str) {
    let (a, b) = nonblocking_pair::<T>();
    let same = T::try_from(rustix::io::fcntl_dupfd_cloexec(&a, 0).unwrap()).unwrap();
    same.shutdown(Shutdown::Write).unwrap();
    drop(same);
    assert_eq!(a.put(b"x"), Err(Errno::PIPE));
    assert_eq!(b.put(b"x"), Ok(1));
    assert_eq!(a.get(&mut [0]), Ok(1));
}

fn shutdown_of_a_socket_without_a_peer_is_fine<T: Data>(_: &str) {
    for how in [Shutdown::Read, Shutdown::Write, Shutdown::Both] {
        let socket = T::unbound().unwrap();
        assert_eq!(socket.shutdown(how), Ok(()));
        assert_eq!(socket.bind_to(&name("after")), Ok(()));
    }
}

fn peer_that_closed_with_nothing_unread_gives_its_data_and_then_the_end<T: Connects>(_: &str) {
    let (a, b) = T::pair().unwrap();
    assert_eq!(b.put(b"one"), Ok(3));
    close(b);
    assert_eq!(a.take_error(), Ok(None));
    assert_eq!(a.put(b"x"), Err(Errno::PIPE));
    assert_eq!(a.get(&mut [0; 8]), Ok(3));
    assert_eq!(a.get(&mut [0; 8]), Ok(0));
}

/// A socket whose peer sent `one`, and closed with something of ours unread.
fn reset<T: Data>() -> T {
    let (a, b) = T::pair().unwrap();
    assert_eq!((b.put(b"one"), a.put(b"unread")), (Ok(3), Ok(6)));
    a
}

fn peer_that_closed_with_our_data_unread_is_econnreset_once<T: Connects>(_: &str) {
    let socket = reset::<T>();
    let errors = [(); 4].map(|()| socket.get(&mut [0; 8]));
    assert_eq!(errors.iter().filter(|&&got| got == Err(Errno::CONNRESET)).count(), 1);
    assert_eq!(socket.take_error(), Ok(None));
    assert!(socket.peer_addr().is_ok());
}

/// See "The end with data unread" in `kernel.md`.
#[test]
fn stream_reset_comes_behind_the_data() {
    let _watchdog = crate::common::Watchdog::new();
    let stream = reset::<UnixStream>();
    // Writing does not take it away.
    assert_eq!(stream.write(b"x"), Err(Errno::PIPE));
    assert_eq!(stream.read(&mut [0; 8]), Ok(3));
    assert_eq!(stream.read(&mut [0; 8]), Err(Errno::CONNRESET));
    assert_eq!(stream.read(&mut [0; 8]), Ok(0));
}

#[test]
fn seqpacket_reset_comes_before_the_messages() {
    let _watchdog = crate::common::Watchdog::new();
    let socket = reset::<UnixSeqpacket>();
    let mut buf = [7; 8];
    assert_eq!(socket.recv(&mut buf), Err(Errno::CONNRESET));
    assert_eq!(buf, [7; 8]);
    assert_eq!(socket.get(&mut buf), Ok(3));
    assert_eq!(socket.get(&mut buf), Ok(0));
}

#[test]
fn seqpacket_send_takes_the_reset_away_and_is_epipe_from_then_on() {
    let _watchdog = crate::common::Watchdog::new();
    let socket = reset::<UnixSeqpacket>();
    assert_eq!(socket.send(b"x"), Err(Errno::CONNRESET));
    assert_eq!(socket.send(b"x"), Err(Errno::PIPE));
    assert_eq!(socket.get(&mut [0; 8]), Ok(3));
    assert_eq!(socket.get(&mut [0; 8]), Ok(0));
}

fn reset_is_taken_once_by_take_error<T: Connects>(_: &str) {
    let socket = reset::<T>();
    assert_eq!(socket.take_error(), Ok(Some(Errno::CONNRESET)));
    assert_eq!(socket.take_error(), Ok(None));
    assert_eq!(socket.get(&mut [0; 8]), Ok(3));
    assert_eq!(socket.get(&mut [0; 8]), Ok(0));
}

fn listener_shut_for_reading_refuses_and_stays_shut<T: Connects>(_: &str) {
    for how in [Shutdown::Read, Shutdown::Both] {
        let (listener, server) = T::Listener::autobind().unwrap();
        listener.shutdown(how).unwrap();
        assert_eq!(T::connect(&server).map(drop), Err(Errno::CONNREFUSED));
        assert_eq!(listener.accept().map(drop), Err(Errno::INVAL));
        assert_eq!(listener.listen(5), Ok(()));
        assert_eq!(T::connect(&server).map(drop), Err(Errno::CONNREFUSED));
    }
}

fn listener_has_no_pending_error<T: Connects>(_: &str) {
    let (listener, server) = T::Listener::autobind().unwrap();
    drop(T::connect(&server).unwrap());
    assert_eq!(listener.take_error(), Ok(None));
    assert!(listener.accept().is_ok());
}
