//! Looking at what is queued without taking it.

use afunix::{Errno, UnixDatagram, UnixSeqpacket, UnixStream};

use crate::common::{Watchdog, close, keeping_errno, open_fds, passes_in_child};
use crate::traits::Queue;

for_data!(
    peek_leaves_all_in_the_queue
    peek_installs_no_descriptor_and_loses_none
    peek_of_nothing_is_eagain
    peek_takes_the_error
);

fn peek_leaves_all_in_the_queue<T: Queue>(_: &str) {
    let (a, b) = T::pair().unwrap();
    a.put(b"hello").unwrap();
    let mut buf = [7; 8];
    for _ in 0..3 {
        assert_eq!(keeping_errno(|| b.look(&mut buf)), Ok(5));
        assert_eq!(&buf, b"hello\x07\x07\x07");
        assert_eq!(b.look(&mut buf[..2]), Ok(2));
        assert_eq!(b.look(&mut []), Ok(0));
    }
    assert_eq!(b.get(&mut buf), Ok(5));
    b.set_nonblocking(true).unwrap();
    assert_eq!(b.get(&mut buf), Err(Errno::AGAIN));
}

/// See "Each peek installs descriptors again" in `kernel.md`; without a control buffer none is.
fn peek_installs_no_descriptor_and_loses_none<T: Queue>(test: &str) {
    // Alone in its process, because it counts descriptors.
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        a.send_fds(b"hello", &[a.as_fd(), b.as_fd()]).unwrap();
        let before = open_fds();
        for _ in 0..3 {
            assert_eq!(b.look(&mut [0; 8]), Ok(5));
        }
        assert_eq!(open_fds(), before);
        let (_, fds) = b.recv_fds_exact::<2>(&mut [0; 8]).unwrap();
        assert_eq!(open_fds().len(), before.len() + 2);
        drop(fds);
    });
}

fn peek_of_nothing_is_eagain<T: Queue>(_: &str) {
    let (a, b) = T::pair().unwrap();
    b.set_nonblocking(true).unwrap();
    let mut buf = [7; 4];
    assert_eq!(b.look(&mut buf), Err(Errno::AGAIN));
    assert_eq!(buf, [7; 4]);
    close(a);
    // The end is seen again and again; a datagram socket has none.
    let end = if T::TYPE == libc::SOCK_DGRAM { Err(Errno::AGAIN) } else { Ok(0) };
    assert_eq!((b.look(&mut buf), b.look(&mut buf), b.get(&mut buf)), (end, end, end));
    let alone = T::unbound().unwrap();
    alone.set_nonblocking(true).unwrap();
    let expected = match T::TYPE {
        libc::SOCK_STREAM => Errno::INVAL,
        libc::SOCK_DGRAM => Errno::AGAIN,
        _ => Errno::NOTCONN,
    };
    assert_eq!(alone.look(&mut buf), Err(expected));
    let empty = if T::TYPE == libc::SOCK_STREAM { Errno::INVAL } else { expected };
    assert_eq!(alone.look(&mut []), Err(empty));
}

/// See "The end with data unread" in `kernel.md`.
fn peek_takes_the_error<T: Queue>(_: &str) {
    if T::TYPE == libc::SOCK_DGRAM {
        return; // see `disconnecting`
    }
    let (a, b) = T::pair().unwrap();
    b.put(b"unread").unwrap();
    close(a);
    assert_eq!(b.look(&mut [0; 4]), Err(Errno::CONNRESET));
    assert_eq!(b.look(&mut [0; 4]), Ok(0));
    assert_eq!(b.take_error(), Ok(None));
}

#[test]
fn peek_tells_the_true_size_of_a_message() {
    let _watchdog = Watchdog::new();
    let mut buf = [0; 4];
    let (a, b) = UnixDatagram::pair().unwrap();
    a.send(b"a long story").unwrap();
    let seen = b.peek(&mut buf).unwrap();
    assert_eq!((seen.bytes, seen.size, seen.is_truncated(), &buf), (4, 12, true, b"a lo"));
    let seen = b.peek(&mut []).unwrap();
    assert_eq!((seen.bytes, seen.size, seen.is_truncated()), (0, 12, true));
    assert_eq!(b.recv(&mut [0; 16]).unwrap().bytes, 12);
    a.send(b"").unwrap();
    let seen = b.peek(&mut buf).unwrap();
    assert_eq!((seen.bytes, seen.size, seen.is_truncated()), (0, 0, false));

    let (a, b) = UnixSeqpacket::pair().unwrap();
    a.send(b"a long story").unwrap();
    let seen = b.peek(&mut buf).unwrap();
    assert_eq!((seen.bytes, seen.size, seen.is_truncated(), &buf), (4, 12, true, b"a lo"));

    // A stream has no such size.
    let (a, b) = UnixStream::pair().unwrap();
    a.write(b"a long story").unwrap();
    assert_eq!((b.peek(&mut buf), b.bytes_readable()), (Ok(4), Ok(12)));
}
