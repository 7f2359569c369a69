//! Calls that wait when the socket, or its peer, is shut down or closed.

use std::thread;
use std::time::Duration;

use afunix::{Errno, Shutdown, UnixDatagram};

use crate::common::kinds::{Connects, Data, Listens, Socket};
use crate::common::{Watchdog, close, name, start_waiting};

for_data!(
    receive_that_waits_ends_when_its_own_reading_is_shut_down
    receive_that_waits_ends_with_the_peer_but_not_for_datagrams
    send_that_waits_is_epipe_when_either_side_is_shut_down
    send_that_waits_is_an_error_when_the_peer_closes
    send_that_waits_goes_on_when_a_quarter_is_left
);
for_connecting!(
    accept_that_waits_is_einval_when_both_ways_are_shut_down
    accept_that_waits_goes_on_when_writing_is_shut_down
    connect_that_waits_is_refused_when_the_listener_was_shut_down_and_closes
);

fn is_datagram<T: Socket>() -> bool {
    T::TYPE == libc::SOCK_DGRAM
}

/// Panics if a call that waits is woken.
#[track_caller]
fn goes_on<R>(waiting: &thread::ScopedJoinHandle<'_, R>) {
    thread::sleep(Duration::from_millis(50));
    assert!(!waiting.is_finished(), "the call was woken");
}

/// See "A call that waits is told of the end" in `kernel.md`.
fn receive_that_waits_ends_when_its_own_reading_is_shut_down<T: Data>(_: &str) {
    for how in [Shutdown::Read, Shutdown::Both] {
        let (a, b) = T::pair().unwrap();
        thread::scope(|scope| {
            let waiting = start_waiting(scope, || a.get(&mut [7; 8]));
            a.shutdown(how).unwrap();
            assert_eq!(waiting.join().unwrap(), Ok(0));
        });
        close(b);
    }
}

/// See "A call that waits is told of the end" in `kernel.md`.
fn receive_that_waits_ends_with_the_peer_but_not_for_datagrams<T: Data>(_: &str) {
    let shut: fn(T) = |peer| {
        peer.shutdown(Shutdown::Write).unwrap();
        // Open for good, and so for as long as it matters.
        std::mem::forget(peer);
    };
    for end in [shut, drop] {
        let (a, b) = T::pair().unwrap();
        thread::scope(|scope| {
            let waiting = start_waiting(scope, || a.get(&mut [7; 8]));
            end(b);
            if is_datagram::<T>() {
                goes_on(&waiting);
                a.shutdown(Shutdown::Read).unwrap();
            }
            assert_eq!(waiting.join().unwrap(), Ok(0));
        });
    }
}

/// Sends until there is no room.
fn fill<T: Data>(socket: &T) {
    socket.set_nonblocking(true).unwrap();
    for piece in [&[1; 4096][..], &[1]] {
        while socket.put(piece).is_ok() {}
    }
    assert_eq!(socket.put(&[1]), Err(Errno::AGAIN));
    socket.set_nonblocking(false).unwrap();
}

/// Receives all there is.
fn drain<T: Data>(socket: &T) {
    socket.set_nonblocking(true).unwrap();
    while socket.get(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
}

/// See "A call that waits is told of the end" in `kernel.md`.
fn send_that_waits_is_epipe_when_either_side_is_shut_down<T: Data>(_: &str) {
    for own in [true, false] {
        let (a, b) = T::pair().unwrap();
        fill(&a);
        thread::scope(|scope| {
            let waiting = start_waiting(scope, || a.put(&[1]));
            if own {
                a.shutdown(Shutdown::Write).unwrap();
            } else {
                b.shutdown(Shutdown::Read).unwrap();
                if is_datagram::<T>() {
                    goes_on(&waiting);
                    drain(&b);
                }
            }
            assert_eq!(waiting.join().unwrap(), Err(Errno::PIPE), "{own}");
        });
    }
}

/// See "A call that waits is told of the end" in `kernel.md`.
fn send_that_waits_is_an_error_when_the_peer_closes<T: Data>(_: &str) {
    let (a, b) = T::pair().unwrap();
    fill(&a);
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || a.put(&[1]));
        close(b);
        let datagram = is_datagram::<T>();
        let expected = if datagram { Errno::CONNREFUSED } else { Errno::CONNRESET };
        assert_eq!(waiting.join().unwrap(), Err(expected));
        // That was the one time.
        assert_eq!(a.take_error(), Ok(None));
        assert_eq!(a.put(&[1]), Err(if datagram { Errno::NOTCONN } else { Errno::PIPE }));
    });
}

/// See "Room is told of late" in `kernel.md`.
fn send_that_waits_goes_on_when_a_quarter_is_left<T: Data>(_: &str) {
    let (a, b) = T::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    let mut sent = 0;
    while a.put(&[1; 1000]) == Ok(1000) {
        sent += 1;
    }
    a.set_nonblocking(false).unwrap();
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || a.put(&[1; 1000]));
        for _ in 0..sent / 2 {
            assert_eq!(b.get(&mut [0; 1000]), Ok(1000));
        }
        // There is room for it by now, and who asks for it anew is given it.
        goes_on(&waiting);
        let other = T::try_from(rustix::io::fcntl_dupfd_cloexec(&a, 0).unwrap()).unwrap();
        assert_eq!(other.put(&[2; 1000]), Ok(1000));
        goes_on(&waiting);
        drain(&b);
        assert_eq!(waiting.join().unwrap(), Ok(1000));
    });
}

/// Has a datagram wait at a full queue, of its peer or of another, and gives what comes of it when
/// `end` is done to the receiver.
fn at_a_full_queue(connects: bool, end: impl FnOnce(UnixDatagram)) -> Result<usize, Errno> {
    let (receiver, there) = UnixDatagram::autobind().unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    if connects {
        sender.connect(&there).unwrap();
    }
    let send = || if connects { sender.send(b"x") } else { sender.send_to(b"x", &there) };
    sender.set_nonblocking(true).unwrap();
    while send().is_ok() {}
    sender.set_nonblocking(false).unwrap();
    thread::scope(|scope| {
        let waiting = start_waiting(scope, send);
        end(receiver);
        waiting.join().unwrap()
    })
}

/// See "A call that waits is told of the end" in `kernel.md`.
#[test]
fn datagram_that_waits_for_a_queue_is_told_what_becomes_of_the_receiver() {
    let _watchdog = Watchdog::new();
    for connects in [true, false] {
        assert_eq!(at_a_full_queue(connects, drop), Err(Errno::CONNREFUSED));
        let taken = at_a_full_queue(connects, |receiver| {
            let _ = receiver.recv(&mut [0; 8]).unwrap();
            std::mem::forget(receiver);
        });
        assert_eq!(taken, Ok(1));
        let turned = at_a_full_queue(connects, |receiver| {
            let (_other, other) = UnixDatagram::autobind().unwrap();
            receiver.connect(&other).unwrap();
            drain(&receiver);
            std::mem::forget(receiver);
        });
        assert_eq!(turned, Err(Errno::PERM));
        let shut = at_a_full_queue(connects, |receiver| {
            receiver.shutdown(Shutdown::Read).unwrap();
            drain(&receiver);
            std::mem::forget(receiver);
        });
        assert_eq!(shut, Err(Errno::PIPE));
    }
}

fn accept_that_waits_is_einval_when_both_ways_are_shut_down<T: Connects>(_: &str) {
    let (listener, _) = T::Listener::autobind().unwrap();
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || listener.accept().map(drop));
        listener.shutdown(Shutdown::Both).unwrap();
        assert_eq!(waiting.join().unwrap(), Err(Errno::INVAL));
    });
}

fn accept_that_waits_goes_on_when_writing_is_shut_down<T: Connects>(_: &str) {
    let (listener, server) = T::Listener::autobind().unwrap();
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || listener.accept().map(drop));
        listener.shutdown(Shutdown::Write).unwrap();
        let _client = T::connect(&server).unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(()));
    });
}

fn connect_that_waits_is_refused_when_the_listener_was_shut_down_and_closes<T: Connects>(_: &str) {
    let server = name("server");
    let listener = T::Listener::bind_with_backlog(&server, 0).unwrap();
    let _first = T::connect(&server).unwrap();
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || T::connect(&server).map(drop));
        listener.shutdown(Shutdown::Read).unwrap();
        goes_on(&waiting);
        close(listener);
        assert_eq!(waiting.join().unwrap(), Err(Errno::CONNREFUSED));
    });
}
