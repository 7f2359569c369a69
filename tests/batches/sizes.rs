//! How many messages there may be: none, as many as the kernel moves in one call, and one more.

use std::mem::size_of;

use afunix::{
    AncillaryBuf, BatchBuf, BatchFull, BatchMessage, BatchMessages, Errno, RecvBatch, SendBatch,
    UnixAddr,
};

use crate::common::emulated::{MOST, left_out_by_qemu};
use crate::common::skip;
use crate::ways::{Way, texts};

for_ways!(
    of_no_memory_nothing_is_sent_and_nothing_received
    of_more_than_1024_the_rest_is_sent_by_another_call
    memory_is_used_by_senders_and_receivers_in_turn
);

fn of_no_memory_nothing_is_sent_and_nothing_received<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let mut memory = BatchBuf::<0>::new();
    assert_eq!(memory.capacity(), 0);
    let mut batch = memory.sender();
    let full = batch.push(b"x").unwrap_err();
    assert_eq!((full.capacity, full.errno()), (0, Errno::NOBUFS));
    batch.push_all::<&[u8]>(&[]).unwrap();
    assert_eq!((batch.capacity(), batch.len(), batch.is_empty()), (0, 0, true));
    assert_eq!(a.send_batch(&mut batch), Ok(0));
    batch.skip();
    batch.rewind();
    assert_eq!((batch.sent(), batch.unsent()), (0, 0));
    let mut buf = [0; 4];
    let mut batch = memory.receiver();
    assert!(batch.push(&mut buf).is_err());
    // It would wait if it were a call.
    assert_eq!(b.recv_batch(&mut batch).map(texts), Ok(vec![]));
    assert!(batch.messages().next().is_none());
    // Nor does memory make messages.
    let mut memory = BatchBuf::<3>::default();
    assert_eq!(a.send_batch(&mut memory.sender()), Ok(0));
    assert_eq!(b.recv_batch(&mut memory.receiver()).map(texts), Ok(vec![]));
}

/// See "One call sends 1024 messages" in `kernel.md`.
fn of_more_than_1024_the_rest_is_sent_by_another_call<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let size: libc::c_int = 8 << 20;
    // SAFETY: the option is one number, which is ours to read.
    let forced = unsafe {
        let (value, len) = ((&raw const size).cast(), size_of::<libc::c_int>() as libc::socklen_t);
        let fd = std::os::fd::AsRawFd::as_raw_fd(&Raw(&*a));
        libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, value, len)
    };
    if forced != 0 {
        return skip("a long queue takes privilege");
    }
    let texts: Vec<[u8; 2]> = (0..1026_u16).map(u16::to_le_bytes).collect();
    let mut memory = Box::new(BatchBuf::<1026>::new());
    let mut receiving = Box::new(BatchBuf::<1026>::new());
    for (count, calls) in [(1024, &[1024, 0][..]), (1025, &[1024, 1, 0]), (1026, &[1024, 2])] {
        let mut batch = memory.sender();
        batch.push_all(&texts[..count]).unwrap();
        for expected in calls {
            assert_eq!(a.send_batch(&mut batch), Ok(*expected), "{count}");
        }
        assert_eq!(batch.unsent(), 0);

        let mut bufs = [[0; 2]; 1026];
        let mut batch = receiving.receiver();
        batch.push_all(&mut bufs).unwrap();
        batch.set_nonblocking(true);
        let at_once = if count > 1024 && left_out_by_qemu(MOST) { 1024 } else { count };
        let mut got = Vec::new();
        while got.len() < count {
            let messages = b.recv_batch(&mut batch).unwrap();
            assert_eq!(messages.len(), at_once.min(count - got.len()));
            got.extend(messages.map(|message| <[u8; 2]>::try_from(&*message.data).unwrap()));
        }
        assert_eq!(got, texts[..count]);
        assert_eq!(b.recv_batch(&mut batch).map(drop), Err(Errno::AGAIN));
    }
}

/// The descriptor of a socket, for libc.
struct Raw<'a, T>(&'a T);

impl<T: afunix::AsFd> std::os::fd::AsRawFd for Raw<'_, T> {
    fn as_raw_fd(&self) -> i32 {
        afunix::AsRawFd::as_raw_fd(&self.0.as_fd())
    }
}

fn memory_is_used_by_senders_and_receivers_in_turn<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let mut memory = BatchBuf::<3>::new();
    for turn in 0..4_u8 {
        let text = [turn; 2];
        let mut batch = memory.sender();
        batch.push(&text).unwrap();
        batch.push(b"to").unwrap();
        assert_eq!(a.send_batch(&mut batch), Ok(2));
        let (mut bufs, mut froms) = ([[0; 2]; 3], [UnixAddr::UNNAMED; 3]);
        let mut controls = [const { AncillaryBuf::<64>::new() }; 3];
        let mut batch = memory.receiver();
        for ((buf, from), control) in bufs.iter_mut().zip(&mut froms).zip(&mut controls) {
            // What one turn put there is not there for the next.
            match turn % 2 {
                0 => batch.push_with(buf, control, Some(from)).unwrap(),
                _ => batch.push(buf).unwrap(),
            }
        }
        assert_eq!(texts(b.recv_batch(&mut batch).unwrap()), [&text[..], b"to"]);
        drop(batch);
        // It is somewhere else from here on.
        memory = std::convert::identity(memory);
    }
}

/// All can be made in one thread and used in another.
#[test]
fn batches_may_go_to_other_threads() {
    fn both<T: Send + Sync>() {}
    both::<BatchBuf<8>>();
    both::<SendBatch<'_>>();
    both::<RecvBatch<'_>>();
    both::<BatchMessages<'_>>();
    both::<BatchMessage<'_>>();
    // A batch of a long life is one of a shorter one.
    fn shorter<'s>(sending: SendBatch<'static>, _: &'s u8) -> SendBatch<'s> {
        sending
    }
    let memory = Box::leak(Box::new(BatchBuf::<1>::new()));
    let (byte, mut batch) = (7, memory.sender());
    batch.push(b"static").unwrap();
    assert_eq!(shorter(batch, &byte).len(), 1);
}

#[test]
fn what_finds_no_memory_is_not_added() {
    let mut memory = BatchBuf::<2>::new();
    let name = UnixAddr::from_abstract_name(b"nobody").unwrap();
    let mut none = AncillaryBuf::<0>::new();
    let none = none.writer();
    let full = |result: Result<(), BatchFull>| result.is_err_and(|full| full.capacity == 2);
    let mut batch = memory.sender();
    assert!(full(batch.push_all(&["1", "2", "3"])));
    assert_eq!(batch.len(), 0);
    batch.push(b"1").unwrap();
    assert!(full(batch.push_all(&["2", "3"])));
    assert_eq!(batch.len(), 1);
    batch.push_all(&["2"]).unwrap();
    assert!(full(batch.push(b"3")));
    assert!(full(batch.push_to(b"3", &name)));
    assert!(full(batch.push_with(&[], &none, Some(&name))));
    assert!(full(batch.push_all(&["3"])));
    batch.push_all::<&str>(&[]).unwrap();
    assert_eq!((batch.len(), batch.capacity(), batch.unsent()), (2, 2, 2));
    assert_eq!(format!("{batch:?}"), "SendBatch { capacity: 2, len: 2, sent: 0, .. }");
    batch.clear();
    batch.push_all(&["1", "2"]).unwrap();

    let (mut bufs, mut from, mut control) = ([[0; 1]; 8], name, AncillaryBuf::<8>::new());
    let [first, second, third, fourth, fifth, rest @ ..] = &mut bufs;
    let mut batch = memory.receiver();
    assert!(full(batch.push_all(rest)));
    assert_eq!(batch.len(), 0);
    batch.push(first).unwrap();
    batch.push(second).unwrap();
    assert!(full(batch.push(third)));
    assert!(full(batch.push_from(fourth, &mut from)));
    assert!(full(batch.push_with(fifth, &mut control, None)));
    assert_eq!((batch.len(), batch.capacity()), (2, 2));
    assert_eq!(format!("{batch:?}"), "RecvBatch { capacity: 2, len: 2, received: 0, .. }");
    drop(batch);
    assert_eq!(format!("{memory:?}"), "BatchBuf { capacity: 2, .. }");
}
