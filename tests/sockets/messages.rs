//! Messages, of datagrams and of sequenced packets: their bounds, their sizes, their order.

use std::thread;

use afunix::{AsRawFd, Errno, Received, UnixDatagram, UnixSeqpacket};

use crate::common::kinds::Messages;
use crate::common::{Watchdog, is_root, skip};

for_messages!(
    message_longer_than_the_buffer_reports_its_true_size
    message_of_no_bytes_arrives_as_one
    messages_keep_their_bounds_and_their_order
    message_of_the_send_buffer_less_32_is_the_longest
    message_longer_than_any_send_buffer_is_enobufs
    messages_of_many_threads_arrive_whole_and_in_the_order_of_each
);

fn told(bytes: usize, size: usize) -> impl Fn(Received) -> bool {
    move |received| {
        (received.bytes, received.size) == (bytes, size)
            && received.is_truncated() == (bytes < size)
    }
}

/// See "The true size of a message" in `kernel.md`.
fn message_longer_than_the_buffer_reports_its_true_size<T: Messages>(_: &str) {
    let (a, b) = T::pair().unwrap();
    for room in [0, 1, 9, 10, 11] {
        assert_eq!(a.send(b"0123456789"), Ok(10));
        assert_eq!(a.send(b"next"), Ok(4));
        let mut buf = vec![7; room];
        let fits = room.min(10);
        assert!(b.recv(&mut buf).is_ok_and(told(fits, 10)), "{room}");
        assert_eq!(buf[..fits], b"0123456789"[..fits]);
        assert!(buf[fits..].iter().all(|byte| *byte == 7));
        // The rest is gone, and the next message is whole.
        assert!(b.recv(&mut [0; 16]).is_ok_and(told(4, 4)), "{room}");
    }
}

#[test]
fn datagram_longer_than_the_buffer_reports_its_true_size_and_its_sender() {
    let _watchdog = Watchdog::new();
    let (socket, own) = UnixDatagram::autobind().unwrap();
    for room in [0, 1, 9, 10, 11] {
        assert_eq!(socket.send_to(b"0123456789", &own), Ok(10));
        let mut buf = vec![7; room];
        let fits = room.min(10);
        let (received, from) = socket.recv_from(&mut buf).unwrap();
        assert!(told(fits, 10)(received), "{room}");
        assert_eq!((from, &buf[..fits]), (own, &b"0123456789"[..fits]));
        socket.set_nonblocking(true).unwrap();
        assert_eq!(socket.recv(&mut buf), Err(Errno::AGAIN), "{room}");
        socket.set_nonblocking(false).unwrap();
    }
}

fn message_of_no_bytes_arrives_as_one<T: Messages>(_: &str) {
    let (a, b) = T::pair().unwrap();
    for room in [0, 4] {
        for message in [&b""[..], b"", b"next"] {
            assert_eq!(a.send(message), Ok(message.len()));
        }
        let mut buf = vec![7; room];
        for _ in 0..2 {
            assert!(b.recv(&mut buf).is_ok_and(told(0, 0)), "{room}");
        }
        assert!(buf.iter().all(|byte| *byte == 7));
        assert!(b.recv(&mut buf).is_ok_and(told(room, 4)), "{room}");
    }
    b.set_nonblocking(true).unwrap();
    assert_eq!(b.recv(&mut [0]), Err(Errno::AGAIN));
}

/// See "An empty message" in `kernel.md`.
#[test]
fn seqpacket_end_looks_like_a_message_of_no_bytes() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixSeqpacket::pair().unwrap();
    assert_eq!((a.send(b""), a.send(b"x")), (Ok(0), Ok(1)));
    drop(a);
    let sizes = [(); 4].map(|()| b.recv(&mut [0; 4]).unwrap().size);
    assert_eq!(sizes, [0, 1, 0, 0]);
}

fn messages_keep_their_bounds_and_their_order<T: Messages>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let messages: Vec<Vec<u8>> = (1..=100).map(|len| vec![len; usize::from(len)]).collect();
    for message in &messages {
        assert_eq!(a.send(message), Ok(message.len()));
    }
    let mut buf = [0; 200];
    for message in &messages {
        let received = b.recv(&mut buf).unwrap();
        assert_eq!(buf[..received.size], **message);
    }
}

fn send_buffer(socket: &impl AsRawFd) -> usize {
    let (mut size, mut len) = (0_i32, 4);
    // SAFETY: the option's value is a C `int`, whose size is passed.
    let done = unsafe {
        let (fd, size) = (socket.as_raw_fd(), (&raw mut size).cast());
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, size, &mut len)
    };
    assert_eq!(done, 0);
    size.try_into().unwrap()
}

fn message_of_the_send_buffer_less_32_is_the_longest<T: Messages>(_: &str) {
    let (a, b) = T::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    let longest = send_buffer(&a) - 32;
    let bytes = vec![1; longest + 1];
    assert_eq!(a.send(&bytes), Err(Errno::MSGSIZE));
    assert_eq!(b.recv(&mut [0]), Err(Errno::AGAIN));
    assert_eq!(a.send(&bytes[..longest]), Ok(longest));
    assert!(b.recv(&mut [0; 100]).is_ok_and(told(100, longest)));
}

#[test]
fn datagram_to_a_name_has_the_same_longest_size() {
    let _watchdog = Watchdog::new();
    let (receiver, there) = UnixDatagram::autobind().unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    let longest = send_buffer(&sender) - 32;
    let bytes = vec![1; longest + 1];
    assert_eq!(sender.send_to(&bytes, &there), Err(Errno::MSGSIZE));
    assert_eq!(sender.send_to(&bytes[..longest], &there), Ok(longest));
    let (received, _) = receiver.recv_from(&mut [0]).unwrap();
    assert!(told(1, longest)(received));
}

fn message_longer_than_any_send_buffer_is_enobufs<T: Messages>(_: &str) {
    if !is_root() {
        return skip("only root may have a send buffer of that size");
    }
    let (a, b) = T::pair().unwrap();
    let size: i32 = 16 << 20;
    // SAFETY: the option's value is a C `int`, whose size is passed.
    let done = unsafe {
        let (fd, size) = (a.as_raw_fd(), (&raw const size).cast());
        libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, size, 4)
    };
    assert_eq!(done, 0);
    b.set_nonblocking(true).unwrap();
    let bytes = vec![1; send_buffer(&a) - 32];
    assert_eq!(a.send(&bytes), Err(Errno::NOBUFS));
    assert_eq!(b.recv(&mut [0]), Err(Errno::AGAIN));
    assert_eq!(a.send(b"x"), Ok(1));
}

const THREADS: usize = 4;
const EACH: usize = 300;

/// Message `number` of a thread: its length differs, so that a cut or a glued one is seen.
fn numbered(thread: usize, number: usize) -> Vec<u8> {
    let mut message = vec![u8::try_from(thread).unwrap()];
    message.extend_from_slice(&u32::try_from(number).unwrap().to_be_bytes());
    message.resize(5 + number % 50, 0xee);
    message
}

/// Receives all that the threads send, and panics unless each one's come in order.
fn check_order(mut receive: impl FnMut(&mut [u8]) -> usize) {
    let mut next = [0; THREADS];
    let mut buf = [0; 100];
    for _ in 0..THREADS * EACH {
        let size = receive(&mut buf);
        let thread = usize::from(buf[0]);
        assert_eq!(buf[..size], numbered(thread, next[thread]));
        next[thread] += 1;
    }
    assert_eq!(next, [EACH; THREADS]);
}

fn messages_of_many_threads_arrive_whole_and_in_the_order_of_each<T: Messages>(_: &str) {
    let (a, b) = T::pair().unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let a = &a;
            scope.spawn(move || {
                for number in 0..EACH {
                    let message = numbered(thread, number);
                    assert_eq!(a.send(&message), Ok(message.len()));
                }
            });
        }
        check_order(|buf| b.recv(buf).unwrap().size);
    });
    b.set_nonblocking(true).unwrap();
    assert_eq!(b.recv(&mut [0]), Err(Errno::AGAIN));
}

/// The queue holds eleven messages, so that the senders wait nearly all the time.
#[test]
fn datagrams_of_many_senders_to_a_full_queue_all_arrive_in_the_order_of_each() {
    let _watchdog = Watchdog::new();
    let (receiver, there) = UnixDatagram::autobind().unwrap();
    let senders = [(); THREADS].map(|()| UnixDatagram::autobind().unwrap());
    thread::scope(|scope| {
        for (thread, (sender, _)) in senders.iter().enumerate() {
            let there = &there;
            scope.spawn(move || {
                for number in 0..EACH {
                    let message = numbered(thread, number);
                    assert_eq!(sender.send_to(&message, there), Ok(message.len()));
                }
            });
        }
        check_order(|buf| {
            let (received, from) = receiver.recv_from(buf).unwrap();
            assert_eq!(from, senders[usize::from(buf[0])].1);
            received.size
        });
    });
    receiver.set_nonblocking(true).unwrap();
    assert_eq!(receiver.recv(&mut [0]), Err(Errno::AGAIN));
}
