//! How much is taken before a send waits: by the send buffer, or by the queue of who does not answer.

use std::thread;

use afunix::{AsRawFd, Errno, UnixAddr, UnixDatagram, UnixSeqpacket, UnixStream};

use crate::common::{Watchdog, is_root, skip};

/// How many messages of one byte are taken before one is `EAGAIN`.
fn count(mut send: impl FnMut() -> Result<usize, Errno>) -> usize {
    for sent in 0..100_000 {
        match send() {
            Ok(count) => assert_eq!(count, 1),
            Err(error) => {
                assert_eq!(error, Errno::AGAIN);
                return sent;
            }
        }
    }
    panic!("there is no end to it");
}

/// As many as reach the send buffer, each counted with all that it costs.
macro_rules! check_send_buffer {
    ($($sender:expr, $send:ident($($to:expr)?);)+) => {
        $({
            let socket = &$sender;
            socket.set_nonblocking(true).unwrap();
            let buffer = socket.send_buffer_size().unwrap();
            assert_eq!(socket.unread_memory(), Ok(0));
            let first = socket.$send(b"x" $(, &$to)?);
            assert_eq!(first, Ok(1));
            let each = socket.unread_memory().unwrap();
            let more = count(|| socket.$send(b"x" $(, &$to)?));
            assert_eq!(1 + more, buffer.div_ceil(each), "{buffer} {each}");
            assert!(more > 2 * queue());
        })+
    };
}

/// `net.unix.max_dgram_qlen` of this thread's network namespace.
fn queue() -> usize {
    let limit = std::fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").unwrap();
    limit.trim().parse().unwrap()
}

/// Two that are connected to each other by name.
fn mutual() -> (UnixDatagram, UnixDatagram, UnixAddr) {
    let ((a, a_name), (b, b_name)) =
        (UnixDatagram::autobind().unwrap(), UnixDatagram::autobind().unwrap());
    a.connect(&b_name).unwrap();
    b.connect(&a_name).unwrap();
    (a, b, b_name)
}

/// See "Who answers has no queue limit" in `kernel.md`.
#[test]
fn sockets_that_are_connected_to_each_other_are_limited_by_the_send_buffer_alone() {
    let _watchdog = Watchdog::new();
    for bytes in [None, Some(20_000)] {
        let stream = UnixStream::pair().unwrap();
        let datagram = UnixDatagram::pair().unwrap();
        let packet = UnixSeqpacket::pair().unwrap();
        let (a, _b, b_name) = mutual();
        let (to_peer, _other, _) = mutual();
        let (own, own_name) = UnixDatagram::autobind().unwrap();
        if let Some(bytes) = bytes {
            stream.0.set_send_buffer_size(bytes).unwrap();
            packet.0.set_send_buffer_size(bytes).unwrap();
            for socket in [&datagram.0, &a, &to_peer, &own] {
                socket.set_send_buffer_size(bytes).unwrap();
            }
        }
        check_send_buffer!(
            stream.0, write();
            datagram.0, send();
            packet.0, send();
            a, send_to(b_name);
            to_peer, send();
            own, send_to(own_name);
        );
    }
}

/// See "Who answers has no queue limit" in `kernel.md`: from one to the other it depends on whether the
/// receiver is connected to the sender, not on whether the sender is to the receiver.
#[test]
fn receiver_that_turns_to_the_sender_takes_more() {
    let _watchdog = Watchdog::new();
    let ((receiver, there), (sender, own)) =
        (UnixDatagram::autobind().unwrap(), UnixDatagram::autobind().unwrap());
    sender.set_nonblocking(true).unwrap();
    sender.connect(&there).unwrap();
    assert_eq!(count(|| sender.send(b"x")), queue() + 1);
    receiver.connect(&own).unwrap();
    assert!(count(|| sender.send(b"x")) > 2 * queue());
}

/// See "How much is queued" in `kernel.md`.
#[test]
fn queue_limit_is_of_the_network_namespace_when_the_receiver_was_made() {
    let _watchdog = Watchdog::new();
    thread::spawn(|| {
        // A namespace for this thread alone.
        // SAFETY: a number alone.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            return skip("no network namespace may be made here");
        }
        let limit =
            |queue: usize| std::fs::write("/proc/sys/net/unix/max_dgram_qlen", queue.to_string());
        let receiver = UnixDatagram::autobind().unwrap();
        let before = queue();
        if limit(2).is_err() {
            return skip("the limit may not be changed here");
        }
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        let small = UnixDatagram::autobind().unwrap();
        assert_eq!(count(|| sender.send_to(b"x", &small.1)), 3);
        assert_eq!(count(|| sender.send_to(b"x", &receiver.1)), before + 1);
        // It is the receiver's, whoever sends, and stays as it was.
        limit(20).unwrap();
        let late = UnixDatagram::unbound().unwrap();
        late.set_nonblocking(true).unwrap();
        assert_eq!(late.send_to(b"x", &small.1), Err(Errno::AGAIN));
        let large = UnixDatagram::autobind().unwrap();
        assert_eq!(count(|| late.send_to(b"x", &large.1)), 21);
    })
    .join()
    .unwrap();
}

/// See "How much is queued" in `kernel.md`.
#[test]
fn stream_takes_little_more_than_the_send_buffer_at_once() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    let buffer = a.send_buffer_size().unwrap();
    let taken = a.write(&vec![1; 8 * buffer]).unwrap();
    assert_eq!(a.write(b"x"), Err(Errno::AGAIN));
    assert!(buffer / 2 < taken && taken < 2 * buffer, "{taken} of {buffer}");
    assert_eq!(b.bytes_readable(), Ok(taken));
}

macro_rules! check_longest {
    ($($Type:ident)+) => {
        $({
            let (a, b) = $Type::pair().unwrap();
            let size = 5_000_000_i32;
            // SAFETY: the option's value is a C `int`, whose size is passed.
            let done = unsafe {
                let (fd, size) = (a.as_raw_fd(), (&raw const size).cast());
                libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, size, 4)
            };
            assert_eq!(done, 0);
            // More than anybody may have who asks for it in the common way.
            assert_eq!(a.send_buffer_size(), Ok(10_000_000));
            let longest = a.max_message_size().unwrap();
            assert_eq!(a.send(&vec![1; longest]), Ok(longest));
            assert_eq!(b.recv(&mut []).unwrap().size, longest);
        })+
    };
}

/// See "How much is queued" in `kernel.md`.
#[test]
fn longest_message_of_all_is_sent() {
    let _watchdog = Watchdog::new();
    if !is_root() {
        return skip("only root may have a send buffer of that size");
    }
    check_longest!(UnixDatagram UnixSeqpacket);
}
