//! Streams of bytes.

use std::thread;

use afunix::{AncillaryBuf, Errno, IoSlice, IoSliceMut, Pid, RecvOptions, UnixStream};

use crate::common::{Watchdog, name, start_waiting};

fn pair() -> (Watchdog, UnixStream, UnixStream) {
    let (a, b) = UnixStream::pair().unwrap();
    (Watchdog::new(), a, b)
}

#[test]
fn stream_read_behind_the_data_of_a_closed_peer_is_0_again_and_again() {
    let (_watchdog, a, b) = pair();
    assert_eq!(a.write(b"last words"), Ok(10));
    drop(a);
    let mut buf = [0; 8];
    assert_eq!((b.read(&mut buf), &buf), (Ok(8), b"last wor"));
    assert_eq!(b.read(&mut buf), Ok(2));
    for _ in 0..3 {
        assert_eq!(b.read(&mut buf), Ok(0));
    }
    assert_eq!(&buf, b"dsst wor");
}

/// See "Reading nothing" in `kernel.md`.
#[test]
fn stream_read_with_an_empty_buffer_is_0_and_takes_nothing() {
    let (_watchdog, a, b) = pair();
    assert_eq!(a.write(b"x"), Ok(1));
    assert_eq!(b.read(&mut []), Ok(0));
    assert_eq!(b.read_vectored(&mut []), Ok(0));
    assert_eq!(b.read_vectored(&mut [IoSliceMut::new(&mut []), IoSliceMut::new(&mut [])]), Ok(0));
    let mut buf = [0; 2];
    assert_eq!((b.read(&mut buf), buf), (Ok(1), *b"x\0"));
}

#[test]
fn stream_write_of_no_bytes_is_0_and_sends_nothing() {
    let (_watchdog, a, b) = pair();
    assert_eq!(a.write(b""), Ok(0));
    assert_eq!(a.write_vectored(&[]), Ok(0));
    assert_eq!(a.write_vectored(&[IoSlice::new(b""), IoSlice::new(b"")]), Ok(0));
    b.set_nonblocking(true).unwrap();
    assert_eq!(b.read(&mut [0]), Err(Errno::AGAIN));
    assert_eq!(b.take_error(), Ok(None));
}

#[test]
fn stream_joins_writes_and_splits_reads() {
    let (_watchdog, a, b) = pair();
    for piece in [&b"one"[..], b"two", b"three"] {
        assert_eq!(a.write(piece), Ok(piece.len()));
    }
    let mut buf = [0; 7];
    assert_eq!((b.read(&mut buf), &buf), (Ok(7), b"onetwot"));
    assert_eq!((b.read(&mut buf), &buf[..4]), (Ok(4), &b"hree"[..]));
}

#[test]
fn stream_that_is_not_connected_is_einval_to_read_and_enotconn_to_write() {
    let _watchdog = Watchdog::new();
    let socket = UnixStream::unbound().unwrap();
    let mut buf = [7];
    assert_eq!(socket.read(&mut buf), Err(Errno::INVAL));
    assert_eq!(socket.read_vectored(&mut [IoSliceMut::new(&mut buf)]), Err(Errno::INVAL));
    assert_eq!(buf, [7]);
    assert_eq!(socket.write(b"x"), Err(Errno::NOTCONN));
    assert_eq!(socket.write_vectored(&[IoSlice::new(b"x")]), Err(Errno::NOTCONN));
    assert_eq!(socket.bind_to(&name("after")), Ok(()));
}

#[test]
fn stream_vectored_write_sends_the_pieces_in_order() {
    let (_watchdog, a, b) = pair();
    let pieces = [&b"a"[..], b"", b"bc", b"def"].map(IoSlice::new);
    assert_eq!(a.write_vectored(&pieces), Ok(6));
    let mut buf = [0; 8];
    assert_eq!((b.read(&mut buf), &buf[..6]), (Ok(6), &b"abcdef"[..]));
}

#[test]
fn stream_vectored_read_fills_the_buffers_in_order_and_leaves_the_rest() {
    let (_watchdog, a, b) = pair();
    assert_eq!(a.write(b"abcdef"), Ok(6));
    let (mut first, mut none, mut second, mut third) = ([0; 2], [0; 0], [0; 3], [7; 4]);
    let mut bufs = [
        IoSliceMut::new(&mut first),
        IoSliceMut::new(&mut none),
        IoSliceMut::new(&mut second),
        IoSliceMut::new(&mut third),
    ];
    assert_eq!(b.read_vectored(&mut bufs), Ok(6));
    assert_eq!((&first, &second, &third), (b"ab", b"cde", b"f\x07\x07\x07"));
}

/// See "More than 1024 pieces" in `kernel.md`.
#[test]
fn stream_vectored_write_of_more_than_1024_pieces_sends_the_first_1024() {
    let (_watchdog, a, b) = pair();
    let bytes: Vec<u8> = (0..2000).map(|number| (number % 251) as u8).collect();
    for count in [1024, 1025, 2000] {
        let pieces: Vec<_> = bytes[..count].chunks(1).map(IoSlice::new).collect();
        assert_eq!(a.write_vectored(&pieces), Ok(1024), "{count}");
        let mut buf = [0; 2000];
        assert_eq!((b.read(&mut buf), &buf[..1024]), (Ok(1024), &bytes[..1024]), "{count}");
    }
}

#[test]
fn stream_vectored_read_into_more_than_1024_buffers_fills_the_first_1024() {
    let (_watchdog, a, b) = pair();
    let sent: Vec<u8> = (0..2000).map(|number| (number % 250) as u8).collect();
    let mut buf = [255; 2000];
    assert_eq!(a.write(&sent), Ok(2000));
    let mut bufs: Vec<_> = buf.chunks_mut(1).map(IoSliceMut::new).collect();
    assert_eq!(b.read_vectored(&mut bufs), Ok(1024));
    assert_eq!(buf[..1024], sent[..1024]);
    assert!(buf[1024..].iter().all(|byte| *byte == 255));
    assert_eq!((b.read(&mut buf), &buf[..976]), (Ok(976), &sent[1024..]));
}

#[test]
fn stream_write_without_room_for_all_of_it_says_how_much_went() {
    let (_watchdog, a, b) = pair();
    let bytes: Vec<u8> = (0..4_000_000_u32).map(|number| (number % 251) as u8).collect();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    type Write = fn(&UnixStream, &[u8]) -> Result<usize, Errno>;
    let vectored: Write = |stream, bytes| stream.write_vectored(&[IoSlice::new(bytes)]);
    for write in [UnixStream::write as Write, vectored] {
        let written = write(&a, &bytes).unwrap();
        assert!(0 < written && written < bytes.len(), "{written}");
        assert_eq!(write(&a, &bytes[written..]), Err(Errno::AGAIN));
        let (mut arrived, mut buf) = (Vec::new(), [0; 65536]);
        while let Ok(count) = b.read(&mut buf) {
            arrived.extend_from_slice(&buf[..count]);
        }
        assert!(arrived == bytes[..written], "{} of {written} arrived", arrived.len());
    }
}

#[test]
fn stream_write_that_waits_for_room_writes_all_of_it() {
    let (_watchdog, a, b) = pair();
    let bytes: Vec<u8> = (0..4_000_000_u32).map(|number| (number % 251) as u8).collect();
    thread::scope(|scope| {
        let writing = scope.spawn(|| a.write(&bytes));
        let (mut arrived, mut buf) = (Vec::new(), vec![0; 100_000]);
        while arrived.len() < bytes.len() {
            let count = b.read(&mut buf).unwrap();
            arrived.extend_from_slice(&buf[..count]);
        }
        assert_eq!(writing.join().unwrap(), Ok(bytes.len()));
        assert!(arrived == bytes);
    });
}

#[test]
fn stream_read_waits_for_the_first_byte_and_no_longer() {
    let (_watchdog, a, b) = pair();
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || b.read(&mut [0; 100]));
        a.write(b"x").unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(1));
    });
}

/// See "The end of a stream names root" in `kernel.md`: a receive of nothing is given the same there,
/// but where there is data it is given the sender's.
#[test]
fn stream_receive_of_nothing_at_the_end_attests_nobody() {
    let (_watchdog, a, b) = pair();
    b.set_passcred(true).unwrap();
    let mut control = AncillaryBuf::<64>::new();
    let mut attested = |data: &mut [u8]| {
        let pieces = &mut [IoSliceMut::new(data)];
        let (received, ancillary) = b.recv_with(pieces, &mut control, RecvOptions::new()).unwrap();
        (received.bytes, ancillary.credentials().map(|credentials| credentials.pid))
    };
    a.write(b"x").unwrap();
    let own = Some(Pid::from_raw(i32::try_from(std::process::id()).unwrap()));
    assert_eq!(attested(&mut []), (0, own));
    assert_eq!(attested(&mut [0; 8]), (1, own));
    drop(a);
    assert_eq!(attested(&mut []), (0, None));
    assert_eq!(attested(&mut [0; 8]), (0, None));
}
