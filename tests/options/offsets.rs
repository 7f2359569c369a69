//! Peeks that move on.

use std::thread;

use afunix::{Errno, UnixDatagram, UnixSeqpacket};

use crate::common::emulated::is_set;
use crate::common::{Watchdog, start_waiting};
use crate::traits::Queue;

for_data!(
    peeks_move_on_and_receives_move_back
    offset_may_be_set_and_taken_away
    peek_behind_all_that_is_queued_waits
);

/// See "Peeks may move on" in `kernel.md`.
fn peeks_move_on_and_receives_move_back<T: Queue>(_: &str) {
    let (a, b) = T::pair().unwrap();
    b.set_nonblocking(true).unwrap();
    assert_eq!(b.peek_offset(), Ok(None));
    if !is_set(b.set_peek_offset(Some(0))) {
        return;
    }
    a.put(b"hello").unwrap();
    a.put(b"world").unwrap();
    let mut buf = [0; 3];
    assert_eq!((b.look(&mut buf), &buf, b.peek_offset()), (Ok(3), b"hel", Ok(Some(3))));
    let is_stream = T::TYPE == libc::SOCK_STREAM;
    if is_stream {
        // It goes on beyond the write.
        assert_eq!((b.look(&mut buf), &buf, b.peek_offset()), (Ok(3), b"low", Ok(Some(6))));
        assert_eq!((b.get(&mut buf), &buf, b.peek_offset()), (Ok(3), b"hel", Ok(Some(3))));
        assert_eq!((b.look(&mut buf), &buf, b.peek_offset()), (Ok(3), b"orl", Ok(Some(6))));
        assert_eq!((b.look(&mut buf), b.peek_offset()), (Ok(1), Ok(Some(7))));
    } else {
        // It ends with the message.
        assert_eq!(
            (b.look(&mut buf), &buf[..2], b.peek_offset()),
            (Ok(2), &b"lo"[..], Ok(Some(5)))
        );
        assert_eq!((b.look(&mut buf), &buf, b.peek_offset()), (Ok(3), b"wor", Ok(Some(8))));
        // The whole message counts, however little of it was wanted.
        assert_eq!((b.get(&mut buf), &buf, b.peek_offset()), (Ok(3), b"hel", Ok(Some(3))));
        assert_eq!((b.look(&mut buf), b.peek_offset()), (Ok(2), Ok(Some(5))));
    }
    assert_eq!(b.look(&mut buf), Err(Errno::AGAIN));
    // The other one has none.
    assert_eq!(a.peek_offset(), Ok(None));
}

fn offset_may_be_set_and_taken_away<T: Queue>(_: &str) {
    let (a, b) = T::pair().unwrap();
    b.set_nonblocking(true).unwrap();
    a.put(b"hello").unwrap();
    let mut buf = [0; 8];
    if !is_set(b.set_peek_offset(Some(3))) {
        return;
    }
    assert_eq!((b.look(&mut buf), &buf[..2]), (Ok(2), &b"lo"[..]));
    for offset in [0x8000_0000, u32::MAX] {
        assert_eq!(b.set_peek_offset(Some(offset)), Err(Errno::INVAL));
        assert_eq!(b.peek_offset(), Ok(Some(5)));
    }
    b.set_peek_offset(Some(0x7fff_ffff)).unwrap();
    assert_eq!(b.peek_offset(), Ok(Some(0x7fff_ffff)));
    assert_eq!(b.look(&mut buf), Err(Errno::AGAIN));
    b.set_peek_offset(None).unwrap();
    assert_eq!(b.peek_offset(), Ok(None));
    assert_eq!((b.look(&mut buf), b.look(&mut buf)), (Ok(5), Ok(5)));
}

/// See "Peeks may move on" in `kernel.md`.
fn peek_behind_all_that_is_queued_waits<T: Queue>(_: &str) {
    let (a, b) = T::pair().unwrap();
    if !is_set(b.set_peek_offset(Some(0))) {
        return;
    }
    a.put(b"hello").unwrap();
    let mut buf = [0; 8];
    assert_eq!(b.look(&mut buf), Ok(5));
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || b.look(&mut buf));
        a.put(b"you").unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(3));
    });
    assert_eq!((&buf[..3], b.peek_offset()), (&b"you"[..], Ok(Some(8))));
    b.set_peek_offset(None).unwrap();
    let whole = if T::TYPE == libc::SOCK_STREAM { 8 } else { 5 };
    assert_eq!(b.get(&mut buf), Ok(whole));
}

macro_rules! check_sizes {
    ($($Type:ident)+) => {
        $({
            let (a, b) = $Type::pair().unwrap();
            b.set_nonblocking(true).unwrap();
            if !is_set(b.set_peek_offset(Some(4))) {
                return;
            }
            a.send(b"a long story").unwrap();
            let seen = b.peek(&mut [0; 2]).unwrap();
            assert_eq!((seen.bytes, seen.size), (2, 8));
            let _ = b.recv(&mut []).unwrap();

            b.set_peek_offset(Some(0)).unwrap();
            a.send(b"").unwrap();
            a.send(b"x").unwrap();
            assert_eq!(b.peek(&mut [0; 2]).map(|seen| seen.size), Ok(0));
            assert_eq!(b.peek(&mut [0; 2]).map(|seen| seen.size), Ok(1));
            assert_eq!(b.peek(&mut [0; 2]), Err(Errno::AGAIN));
            assert_eq!(b.recv(&mut [0; 2]).map(|received| received.size), Ok(0));
            assert_eq!(b.recv(&mut [0; 2]).map(|received| received.size), Ok(1));
        })+
    };
}

/// See "Peeks may move on" in `kernel.md`.
#[test]
fn size_is_what_is_left_and_an_empty_message_is_seen_once() {
    let _watchdog = Watchdog::new();
    check_sizes!(UnixDatagram UnixSeqpacket);
}
