//! Errors that wait at a socket: which call tells them.

use std::slice;

use afunix::{BatchBuf, Errno, UnixDatagram};

use crate::common::Watchdog;
use crate::common::emulated::{ONE_BY_ONE, left_out_by_qemu};
use crate::common::kinds::{Data, Socket};
use crate::ways::{Method, Way, texts};

/// A page that cannot be written to.
struct Page(*mut u8);

impl Page {
    fn new() -> Self {
        let (flags, len) = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, 4096);
        // SAFETY: a fresh page, that nobody else has.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, flags, -1, 0) };
        assert_ne!(page, libc::MAP_FAILED);
        Self(page.cast())
    }

    fn buf(&mut self) -> &mut [u8] {
        // SAFETY: it is the page, which is readable, and which only the kernel tries to write to.
        unsafe { slice::from_raw_parts_mut(self.0, 8) }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: it is ours, and its buffers borrow it.
        assert_eq!(unsafe { libc::munmap(self.0.cast(), 4096) }, 0);
    }
}

for_ways!(
    an_error_behind_the_first_message_is_told_by_the_next_batch
    an_error_behind_the_first_message_is_told_by_take_error
    an_error_behind_the_first_message_is_told_by_a_receive_of_one
    an_error_of_the_first_message_is_told_at_once
);

/// Two messages of three, with an error at the second.
fn fail_behind_the_first<W: Way>() -> (W, W) {
    let (a, b) = W::pair();
    for text in ["onexxxxx", "twoxxxxx", "three"] {
        a.put(text.as_bytes()).unwrap();
    }
    let (mut first, mut page, mut third) = ([0; 8], Page::new(), [0xee; 8]);
    let mut memory = BatchBuf::<3>::new();
    let mut batch = memory.receiver();
    batch.push(&mut first).unwrap();
    batch.push(page.buf()).unwrap();
    batch.push(&mut third).unwrap();
    assert_eq!(texts(b.recv_batch(&mut batch).unwrap()), [b"onexxxxx"]);
    assert!(batch.messages().next().is_none());
    drop(batch);
    assert_eq!(third, [0xee; 8]);
    (a, b)
}

/// What is left of the messages then: a stream loses none.
fn rest<W: Way>(socket: &W) -> Vec<Vec<u8>> {
    let (mut memory, mut bufs) = (BatchBuf::<3>::new(), [[0; 8]; 3]);
    let mut batch = memory.receiver();
    batch.push_all(&mut bufs).unwrap();
    texts(socket.recv_batch(&mut batch).unwrap())
}

fn expected_rest<W: Way>() -> Vec<Vec<u8>> {
    let all = [b"twoxxxxx".to_vec(), b"three".to_vec()];
    all[usize::from(!W::IS_STREAM)..].to_vec()
}

/// See "An error behind the first message comes with the next call" in `kernel.md`.
fn an_error_behind_the_first_message_is_told_by_the_next_batch<W: Way>(_: &str) {
    let (_a, b) = fail_behind_the_first::<W>();
    if left_out_by_qemu(ONE_BY_ONE) {
        return;
    }
    let (mut memory, mut buf) = (BatchBuf::<1>::new(), [0; 8]);
    let mut batch = memory.receiver();
    batch.push(&mut buf).unwrap();
    assert_eq!(b.recv_batch(&mut batch).map(texts), Err(Errno::FAULT));
    assert_eq!(rest(&b), expected_rest::<W>());
    assert_eq!(b.take_error(), Ok(None));
}

fn an_error_behind_the_first_message_is_told_by_take_error<W: Way>(_: &str) {
    let (_a, b) = fail_behind_the_first::<W>();
    if left_out_by_qemu(ONE_BY_ONE) {
        return;
    }
    assert_eq!(b.take_error(), Ok(Some(Errno::FAULT)));
    assert_eq!(b.take_error(), Ok(None));
    assert_eq!(rest(&b), expected_rest::<W>());
}

fn an_error_behind_the_first_message_is_told_by_a_receive_of_one<W: Way>(_: &str) {
    let (_a, b) = fail_behind_the_first::<W>();
    if left_out_by_qemu(ONE_BY_ONE) {
        return;
    }
    b.set_nonblocking(true).unwrap();
    let mut buf = [0; 8];
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(b.get(&mut buf));
    }
    // A stream has its data first.
    let expected: &[_] = if W::IS_STREAM {
        &[Ok(8), Ok(5), Err(Errno::FAULT), Err(Errno::AGAIN), Err(Errno::AGAIN)]
    } else {
        &[Err(Errno::FAULT), Ok(5), Err(Errno::AGAIN), Err(Errno::AGAIN), Err(Errno::AGAIN)]
    };
    assert_eq!(seen, expected);
}

fn an_error_of_the_first_message_is_told_at_once<W: Way>(_: &str) {
    let (a, b) = W::pair();
    a.put(b"one").unwrap();
    let (mut page, mut second) = (Page::new(), [0xee; 8]);
    let mut memory = BatchBuf::<2>::new();
    let mut batch = memory.receiver();
    batch.push(page.buf()).unwrap();
    batch.push(&mut second).unwrap();
    assert_eq!(b.recv_batch(&mut batch).map(texts), Err(Errno::FAULT));
    assert!(batch.messages().next().is_none());
    drop(batch);
    assert_eq!(second, [0xee; 8]);
    assert_eq!(b.take_error(), Ok(None));
}

for_ways!(a_reset_comes_before_the_data:
    seqpacket Method UnixSeqpacket, seqpacket_by_fd Free UnixSeqpacket, stream_by_fd Free UnixStream
);

/// See "A pending error comes before a batch" and "The end with data unread" in `kernel.md`.
fn a_reset_comes_before_the_data<W: Way>(_: &str) {
    let reset = || {
        let (a, b) = W::pair();
        a.put(b"one").unwrap();
        b.put(b"unread").unwrap();
        b
    };
    let (mut memory, mut bufs) = (BatchBuf::<3>::new(), [[0xee; 8]; 3]);
    let mut batch = memory.receiver();
    batch.push_all(&mut bufs).unwrap();
    // Who takes the error has nothing to fear.
    let b = reset();
    assert_eq!(b.take_error(), Ok(Some(Errno::CONNRESET)));
    assert_eq!(texts(b.recv_batch(&mut batch).unwrap()), [&b"one"[..], b""]);

    let b = reset();
    // A receive of one gives the data of a stream first.
    if W::IS_STREAM && left_out_by_qemu(ONE_BY_ONE) {
        return;
    }
    assert_eq!(b.recv_batch(&mut batch).map(texts), Err(Errno::CONNRESET));
    assert_eq!(texts(b.recv_batch(&mut batch).unwrap()), [&b"one"[..], b""]);
    assert_eq!(texts(b.recv_batch(&mut batch).unwrap()), [b""]);
    assert_eq!(b.take_error(), Ok(None));
}

/// See "A datagram socket that turns to another peer loses its queue" in `kernel.md`.
#[test]
fn a_reset_of_a_datagram_socket_comes_before_the_data() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixDatagram::pair().unwrap();
    let (_other, to) = UnixDatagram::autobind().unwrap();
    b.send(b"lost").unwrap();
    a.send(b"one").unwrap();
    // What `b` sent is dropped, and `b` is told.
    a.connect(&to).unwrap();
    let b = Method::from(b);
    let (mut memory, mut bufs) = (BatchBuf::<3>::new(), [[0; 8]; 3]);
    let mut batch = memory.receiver();
    batch.push_all(&mut bufs).unwrap();
    assert_eq!(b.recv_batch(&mut batch).map(texts), Err(Errno::CONNRESET));
    assert_eq!(texts(b.recv_batch(&mut batch).unwrap()), [b"one"]);
    assert_eq!(b.take_error(), Ok(None));
}

for_ways!(nothing_is_told_that_did_not_happen);
fn nothing_is_told_that_did_not_happen<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let (mut memory, mut bufs) = (BatchBuf::<4>::new(), [[0; 8]; 4]);
    let mut batch = memory.receiver();
    batch.push_all(&mut bufs).unwrap();
    for turn in 0..3 {
        a.put(b"12345678").unwrap();
        // That there was no second is no error.
        assert_eq!(texts(b.recv_batch(&mut batch).unwrap()), [b"12345678"], "{turn}");
        assert_eq!((a.take_error(), b.take_error()), (Ok(None), Ok(None)));
    }
    batch.set_nonblocking(true);
    assert_eq!(b.recv_batch(&mut batch).map(texts), Err(Errno::AGAIN));
    assert_eq!(b.take_error(), Ok(None));
    // Nor is what a send met at its second message.
    if !W::IS_STREAM {
        let long = vec![0; 300_000];
        let mut sending = BatchBuf::<2>::new();
        let mut batch = sending.sender();
        batch.push(b"short").unwrap();
        batch.push(&long).unwrap();
        assert_eq!(a.send_batch(&mut batch), Ok(1));
        assert_eq!((a.take_error(), b.take_error()), (Ok(None), Ok(None)));
    }
}
