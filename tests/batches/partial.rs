//! Batches of which only a part can be sent. See "A batch stops at the first failure" in `kernel.md`.

use afunix::{
    AncillaryBuf, AsFd, BatchBuf, Errno, IoSlice, SendError, Shutdown, UnixAddr, UnixDatagram,
    UnixSeqpacket, UnixStream,
};

use crate::common::kinds::{Data, Socket};
use crate::common::{Watchdog, close, name, passes_in_child};
use crate::ways::{Free, Method, Way, texts};

const AGAIN: SendError = SendError::Kernel(Errno::AGAIN);

/// Takes all messages of a queue, one by one.
fn drain<W: Way>(socket: &W) -> Vec<Vec<u8>> {
    socket.set_nonblocking(true).unwrap();
    let mut all = Vec::new();
    let mut buf = [0; 64];
    while let Ok(len) = socket.get(&mut buf) {
        all.push(buf[..len].to_vec());
        if len == 0 && all.len() > 1000 {
            break;
        }
    }
    all
}

for_message_ways!(
    a_full_queue_takes_a_part_and_the_rest_later
    a_message_that_is_too_long_stops_those_behind_it
    a_batch_is_sent_again_after_rewind
);

fn a_full_queue_takes_a_part_and_the_rest_later<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let numbers: Vec<[u8; 2]> = (0..1000_u16).map(u16::to_le_bytes).collect();
    let mut memory = Box::new(BatchBuf::<1000>::new());
    let mut batch = memory.sender();
    batch.push_all(&numbers).unwrap();
    batch.set_nonblocking(true);
    // What one after the other takes, too.
    let (c, _d) = W::pair();
    c.set_nonblocking(true).unwrap();
    let room = numbers.iter().take_while(|number| c.put(*number).is_ok()).count();
    assert!((1..1000).contains(&room), "{room}");
    let mut got = Vec::new();
    while batch.unsent() > 0 {
        let before = batch.sent();
        let count = room.min(batch.unsent());
        assert_eq!(a.send_batch(&mut batch), Ok(count));
        assert_eq!(batch.sent(), before + count);
        if batch.unsent() > 0 {
            assert_eq!(a.send_batch(&mut batch), Err(AGAIN));
            assert_eq!(batch.sent(), before + count);
        }
        got.extend(drain(&b));
    }
    assert_eq!(got, numbers);
}

/// See "How much is queued" in `kernel.md`.
#[test]
fn a_queue_of_datagrams_takes_eleven() {
    let _watchdog = Watchdog::new();
    let (inbox, to) = UnixDatagram::autobind().unwrap();
    let queued = std::fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").unwrap();
    let queued = queued.trim().parse::<usize>().unwrap() + 1;
    let sender = Method::from(UnixDatagram::unbound().unwrap());
    let mut memory = Box::new(BatchBuf::<1000>::new());
    let mut batch = memory.sender();
    for _ in 0..1000 {
        batch.push_to(b"x", &to).unwrap();
    }
    // By the socket or by the batch.
    batch.set_nonblocking(true);
    assert_eq!(sender.send_batch(&mut batch), Ok(queued));
    batch.set_nonblocking(false);
    sender.set_nonblocking(true).unwrap();
    assert_eq!(sender.send_batch(&mut batch), Err(AGAIN));
    let inbox = Method::from(inbox);
    assert_eq!(drain(&inbox).len(), queued);
    assert_eq!(sender.send_batch(&mut batch), Ok(queued));
}

/// A batch that waits goes on where there is room.
#[test]
fn a_blocking_batch_is_sent_whole() {
    let _watchdog = Watchdog::new();
    let (inbox, to) = UnixDatagram::autobind().unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    let mut memory = BatchBuf::<100>::new();
    let numbers: Vec<[u8; 1]> = (0..100).map(|number| [number]).collect();
    let mut batch = memory.sender();
    for number in &numbers {
        batch.push_to(number, &to).unwrap();
    }
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(sender.send_batch(&mut batch), Ok(100)));
        for number in &numbers {
            let mut buf = [0xee];
            assert_eq!(inbox.recv(&mut buf).unwrap().bytes, 1);
            assert_eq!(buf, *number);
        }
    });
}

fn a_message_that_is_too_long_stops_those_behind_it<W: Way>(_: &str) {
    let (long, short) = (vec![0; 300_000], b"short");
    for at in 0..4 {
        let (a, b) = W::pair();
        let mut memory = BatchBuf::<4>::new();
        let mut batch = memory.sender();
        for number in 0..4 {
            batch.push(if number == at { &long } else { short }).unwrap();
        }
        if at > 0 {
            assert_eq!(a.send_batch(&mut batch), Ok(at));
        }
        for _ in 0..2 {
            assert_eq!(a.send_batch(&mut batch), Err(SendError::Kernel(Errno::MSGSIZE)));
            assert_eq!((batch.sent(), batch.unsent()), (at, 4 - at));
        }
        batch.skip();
        assert_eq!((batch.sent(), batch.unsent()), (at + 1, 3 - at));
        assert_eq!(a.send_batch(&mut batch), Ok(3 - at));
        assert_eq!(drain(&b), [b"short"; 3]);
    }
}

fn a_batch_is_sent_again_after_rewind<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let mut memory = BatchBuf::<4>::new();
    let mut batch = memory.sender();
    batch.push_all(&["one", "two", "three"]).unwrap();
    for _ in 0..3 {
        assert_eq!(a.send_batch(&mut batch), Ok(3));
        batch.rewind();
        assert_eq!((batch.sent(), batch.unsent(), batch.len()), (0, 3, 3));
    }
    batch.skip();
    assert_eq!(a.send_batch(&mut batch), Ok(2));
    // There is nothing behind the last.
    batch.skip();
    batch.skip();
    assert_eq!((batch.sent(), batch.unsent(), batch.len()), (3, 0, 3));
    let all: [&[u8]; 3] = [b"one", b"two", b"three"];
    assert_eq!(drain(&b), [&all[..], &all, &all, &all[1..]].concat());
    batch.clear();
    assert_eq!((batch.sent(), batch.unsent(), batch.len()), (0, 0, 0));
}

for_datagram_ways!(a_receiver_that_is_not_there_stops_those_behind_it);
fn a_receiver_that_is_not_there_stops_those_behind_it<W: Way<Socket = UnixDatagram>>(_: &str) {
    let (dead, gone) = UnixDatagram::autobind().unwrap();
    close(dead);
    let nobody = UnixAddr::from_pathname(b"/nonexistent/socket").unwrap();
    let file = crate::common::addr(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    let (_stream, wrong) = afunix::UnixListener::autobind().unwrap();
    for (bad, errno) in [
        (gone, Errno::CONNREFUSED),
        (nobody, Errno::NOENT),
        (file, Errno::CONNREFUSED),
        (wrong, Errno::CONNREFUSED),
        (UnixAddr::UNNAMED, Errno::INVAL),
    ] {
        for at in 0..5 {
            let (inbox, good) = UnixDatagram::autobind().unwrap();
            let sender = W::from(UnixDatagram::unbound().unwrap());
            let texts = [b"0", b"1", b"2", b"3", b"4"];
            let mut memory = BatchBuf::<5>::new();
            let mut batch = memory.sender();
            for (number, text) in texts.into_iter().enumerate() {
                batch.push_to(text, if number == at { &bad } else { &good }).unwrap();
            }
            if at > 0 {
                assert_eq!(sender.send_batch(&mut batch), Ok(at));
            }
            for _ in 0..2 {
                let answer = sender.send_batch(&mut batch);
                assert_eq!(answer, Err(SendError::Kernel(errno)), "{bad:?} at {at}");
                assert_eq!(batch.sent(), at);
            }
            batch.skip();
            assert_eq!(sender.send_batch(&mut batch), Ok(4 - at));
            let mut expected: Vec<_> = texts.map(|text| text.to_vec()).into();
            expected.remove(at);
            assert_eq!(drain(&W::from(inbox)), expected);
        }
    }
}

/// See "A datagram that nobody takes empties the sender's own queue" in `kernel.md`: the kernel has
/// already done what the error tells of, so that it is another one by the time that it is told.
#[test]
fn a_peer_that_is_gone_is_forgotten_by_the_call_that_finds_out() {
    let _watchdog = Watchdog::new();
    let ((inbox, other), (a, b)) =
        (UnixDatagram::autobind().unwrap(), UnixDatagram::pair().unwrap());
    close(b);
    let mut memory = BatchBuf::<3>::new();
    let mut batch = memory.sender();
    batch.push_to(b"other", &other).unwrap();
    batch.push(b"peer").unwrap();
    assert_eq!(a.send_batch(&mut batch), Ok(1));
    assert_eq!(a.send_batch(&mut batch), Err(SendError::Kernel(Errno::NOTCONN)));
    assert_eq!((batch.sent(), inbox.recv(&mut [0; 8]).unwrap().bytes), (1, 5));
    // As the first of its call it is told as it is.
    let (a, b) = UnixDatagram::pair().unwrap();
    close(b);
    assert_eq!(a.send_batch(&mut batch), Err(SendError::Kernel(Errno::CONNREFUSED)));
    assert_eq!(batch.sent(), 1);
}

for_ways!(a_peer_that_is_gone_raises_no_signal);
fn a_peer_that_is_gone_raises_no_signal<W: Way>(test: &str) {
    passes_in_child(test, || {
        // SAFETY: the default action is no function of ours.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let mut memory = BatchBuf::<2>::new();
        let mut batch = memory.sender();
        batch.push_all(&["x", "y"]).unwrap();
        let (a, b) = W::pair();
        close(b);
        let gone = if W::IS_DATAGRAM { Errno::CONNREFUSED } else { Errno::PIPE };
        assert_eq!(a.send_batch(&mut batch), Err(SendError::Kernel(gone)));
        let (a, b) = W::pair();
        b.shutdown(Shutdown::Read).unwrap();
        assert_eq!(a.send_batch(&mut batch), Err(SendError::Kernel(Errno::PIPE)));
        let (a, _b) = W::pair();
        a.shutdown(Shutdown::Write).unwrap();
        assert_eq!(a.send_batch(&mut batch), Err(SendError::Kernel(Errno::PIPE)));
        assert_eq!((batch.sent(), batch.unsent()), (0, 2));
    });
}

/// See "Descriptors go with the first byte" in `kernel.md`.
#[test]
fn a_short_write_on_a_stream_is_told_with_its_numbers_and_its_descriptors_went() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    let other = UnixStream::unbound().unwrap();
    let mut control = AncillaryBuf::<64>::new();
    let mut writer = control.writer();
    writer.push_fds(&[other.as_fd(); 2]).unwrap();
    let (long, first) = (vec![b'l'; 1 << 20], b"first");
    let pieces = [IoSlice::new(&long[..10]), IoSlice::new(&long[10..])];
    let mut memory = BatchBuf::<3>::new();
    let mut batch = memory.sender();
    batch.push(first).unwrap();
    batch.push_with(&pieces, &writer, None).unwrap();
    batch.push(b"next").unwrap();
    batch.set_nonblocking(true);
    let short = Free::from(a);
    let Err(SendError::Short { bytes, size, .. }) = short.send_batch(&mut batch) else {
        panic!("it was sent whole");
    };
    assert_eq!(size, 1 << 20);
    assert!(bytes > 0 && bytes < size);
    // It has been counted.
    assert_eq!((batch.sent(), batch.unsent()), (2, 1));
    assert_eq!(short.send_batch(&mut batch), Err(AGAIN));
    assert_eq!((batch.sent(), batch.unsent()), (2, 1));

    // The rest without descriptors, and before the next.
    let (mut got, mut fds, mut left) = (Vec::new(), 0, &long[bytes..]);
    b.set_nonblocking(true).unwrap();
    short.set_nonblocking(true).unwrap();
    while got.len() < first.len() + size {
        let mut buf = vec![0; 1 << 16];
        if let Ok((received, came)) = b.recv_fds::<8>(&mut buf) {
            got.extend(&buf[..received.bytes]);
            fds += came.len();
        }
        if let Ok(count) = short.put(left) {
            left = &left[count..];
        }
    }
    assert_eq!(fds, 2);
    assert_eq!(short.send_batch(&mut batch), Ok(1));
    assert_eq!((got[..5].to_vec(), &got[5..]), (first.to_vec(), &long[..]));
    let mut buf = [0; 8];
    assert_eq!(b.read(&mut buf), Ok(4));
    assert_eq!(&buf[..4], b"next");
}

/// Behind one that is short the kernel sends none.
#[test]
fn nothing_is_sent_behind_a_short_write() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    let long = vec![b'l'; 1 << 20];
    let mut memory = BatchBuf::<3>::new();
    let mut batch = memory.sender();
    batch.push(&long).unwrap();
    batch.push(b"next").unwrap();
    batch.push(b"last").unwrap();
    batch.set_nonblocking(true);
    let answer = afunix::send_batch(&a, &mut batch);
    let Err(SendError::Short { bytes, size: 1_048_576, .. }) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(answer.unwrap_err().errno(), Errno::AGAIN);
    assert_eq!(batch.sent(), 1);
    close(a);
    let (mut got, mut buf) = (0, vec![0; 1 << 16]);
    while let Ok(count @ 1..) = b.read(&mut buf) {
        assert!(buf[..count].iter().all(|byte| *byte == b'l'));
        got += count;
    }
    assert_eq!(got, bytes);
}

/// The state that a batch is sent in does not matter to those who take no part.
#[test]
fn a_batch_may_go_to_another_socket_at_any_time() {
    let _watchdog = Watchdog::new();
    let ((a, b), (c, d)) = (UnixSeqpacket::pair().unwrap(), UnixDatagram::pair().unwrap());
    let mut memory = BatchBuf::<4>::new();
    let mut batch = memory.sender();
    batch.push_all(&["one", "two"]).unwrap();
    assert_eq!(a.send_batch(&mut batch), Ok(2));
    batch.push(b"three").unwrap();
    let to = name("nobody");
    batch.push_to(b"four", &to).unwrap();
    assert_eq!(c.send_batch(&mut batch), Ok(1));
    assert_eq!(c.send_batch(&mut batch), Err(SendError::Kernel(Errno::CONNREFUSED)));
    // Of a connected seqpacket socket the address is not looked at.
    assert_eq!(a.send_batch(&mut batch), Ok(1));
    assert_eq!(drain(&Method::from(b)), [&b"one"[..], b"two", b"four"]);
    let (mut bufs, d) = ([[0; 8]; 4], Method::from(d));
    let mut batch = memory.receiver();
    batch.push_all(&mut bufs).unwrap();
    assert_eq!(texts(d.recv_batch(&mut batch).unwrap()), [b"three"]);
}
