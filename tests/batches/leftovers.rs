//! Messages that nobody took, and batches that were not used to their end.

use std::mem::forget;

use afunix::{
    AncillaryBuf, AsFd, AsRawFd, BatchBuf, Errno, RecvBatch, Space, UnixAddr, UnixSeqpacket,
};

use crate::common::kinds::Data;
use crate::common::passes::Passes;
use crate::common::{Watchdog, close, open_fds, passes_in_child};
use crate::ways::{Way, texts};

type Control = AncillaryBuf<{ Space::new().rights::<4>().bytes() }>;

for_message_ways!(
    what_was_not_taken_is_there_to_be_taken
    what_was_not_taken_is_gone_with_the_next_receive
    buffers_may_be_added_while_messages_are_left
);

fn put<W: Way>(socket: &W, texts: &[&str]) {
    for text in texts {
        socket.put(text.as_bytes()).unwrap();
    }
}

fn what_was_not_taken_is_there_to_be_taken<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let (mut memory, mut bufs) = (BatchBuf::<8>::new(), [[0; 8]; 8]);
    let mut batch = memory.receiver();
    batch.push_all(&mut bufs).unwrap();
    assert_eq!(batch.messages().len(), 0);
    put(&a, &["one", "two", "three", "four", "five"]);
    let mut messages = b.recv_batch(&mut batch).unwrap();
    assert_eq!((messages.len(), messages.size_hint()), (5, (5, Some(5))));
    assert_eq!(format!("{messages:?}"), "BatchMessages { len: 5, .. }");
    let (one, two) = (messages.next().unwrap(), messages.next().unwrap());
    drop(messages);
    // Each is whole, and its own.
    assert_eq!((&*one.data, &*two.data), (&b"one"[..], &b"two"[..]));
    one.data.fill(0xff);
    assert_eq!(two.data, b"two");
    drop((one, two));
    assert_eq!(batch.messages().len(), 3);
    assert_eq!(batch.messages().nth(1).unwrap().data, b"four");
    assert_eq!(texts(batch.messages()), [b"five"]);
    let mut none = batch.messages();
    assert!(none.next().is_none() && none.next().is_none());
    assert_eq!(none.len(), 0);
}

fn what_was_not_taken_is_gone_with_the_next_receive<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let (mut memory, mut bufs) = (BatchBuf::<3>::new(), [[0; 8]; 3]);
    let mut batch = memory.receiver();
    batch.push_all(&mut bufs).unwrap();
    put(&a, &["one", "two"]);
    drop(b.recv_batch(&mut batch).unwrap());
    put(&a, &["three"]);
    assert_eq!(texts(b.recv_batch(&mut batch).unwrap()), [b"three"]);
    assert_eq!(batch.messages().len(), 0);
    // With one that fails, too.
    put(&a, &["four", "five"]);
    drop(b.recv_batch(&mut batch).unwrap());
    assert_eq!(batch.messages().len(), 2);
    batch.set_nonblocking(true);
    assert_eq!(b.recv_batch(&mut batch).map(texts), Err(Errno::AGAIN));
    assert_eq!(batch.messages().len(), 0);
}

fn buffers_may_be_added_while_messages_are_left<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let (mut memory, mut bufs) = (BatchBuf::<3>::new(), [[0; 8]; 3]);
    let ([first, second, third], mut from) = (&mut bufs, UnixAddr::UNNAMED);
    let mut batch = memory.receiver();
    batch.push(first).unwrap();
    put(&a, &["one", "two", "three"]);
    drop(b.recv_batch(&mut batch).unwrap());
    batch.push(second).unwrap();
    batch.push_from(third, &mut from).unwrap();
    // What there was is there, and the new ones are for what comes.
    assert_eq!(texts(batch.messages()), [b"one"]);
    assert_eq!(texts(b.recv_batch(&mut batch).unwrap()), [&b"two"[..], b"three"]);
}

for_ways!(
    descriptors_of_what_was_not_taken_are_closed_by_the_next_receive
    what_was_forgotten_is_not_closed_twice
    a_batch_that_is_dropped_closes_what_is_left
);

/// A batch with room for control messages, and for addresses.
fn with_control<'a, const N: usize>(
    memory: &'a mut BatchBuf<N>,
    bufs: &'a mut [[u8; 2]; N],
    controls: &'a mut [Control; N],
) -> RecvBatch<'a> {
    let mut batch = memory.receiver();
    for (buf, control) in bufs.iter_mut().zip(controls) {
        batch.push_with(buf, control, None).unwrap();
    }
    batch
}

/// Sends as many messages, of one descriptor each.
fn send<W: Way>(socket: &W, count: usize) {
    let file = UnixSeqpacket::unbound().unwrap();
    for _ in 0..count {
        assert_eq!(socket.send_fds(b"ab", &[file.as_fd()]).unwrap().bytes, 2);
    }
}

fn descriptors_of_what_was_not_taken_are_closed_by_the_next_receive<W: Way>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = W::pair();
        let before = open_fds();
        let open = || open_fds().len() - before.len();
        let mut controls = [const { Control::new() }; 4];
        let (mut memory, mut bufs) = (BatchBuf::<4>::new(), [[0; 2]; 4]);
        let mut batch = with_control(&mut memory, &mut bufs, &mut controls);
        for taken in 0..=4 {
            send(&a, 4);
            // These are dropped one by one.
            assert_eq!(b.recv_batch(&mut batch).unwrap().take(taken).count(), taken);
            assert_eq!(open(), 4 - taken);
            send(&a, 1);
            let messages = b.recv_batch(&mut batch).unwrap();
            assert_eq!((messages.len(), open()), (1, 1));
            drop(messages);
            batch.set_nonblocking(true);
            assert_eq!(b.recv_batch(&mut batch).map(texts), Err(Errno::AGAIN));
            assert_eq!((batch.messages().len(), open()), (0, 0));
            batch.set_nonblocking(false);
        }
        drop(batch);
        assert_eq!(open_fds(), before);
    });
}

fn what_was_forgotten_is_not_closed_twice<W: Way>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = W::pair();
        let mut controls = [const { Control::new() }; 4];
        let (mut memory, mut bufs) = (BatchBuf::<4>::new(), [[0; 2]; 4]);
        let mut batch = with_control(&mut memory, &mut bufs, &mut controls);
        send(&a, 4);
        let mut messages = b.recv_batch(&mut batch).unwrap();
        let number = |message: &mut afunix::BatchMessage<'_>| {
            message.take_ancillary().unwrap().take_fds().next().map(|fd| {
                let number = fd.as_raw_fd();
                // It is closed here, and the number is the next file's.
                drop(fd);
                number
            })
        };
        let first = number(&mut messages.next().unwrap()).unwrap();
        forget(messages.next().unwrap());
        forget(messages);
        // One number was given back, and is used by another file, that is nobody's but ours.
        let other = UnixSeqpacket::unbound().unwrap();
        assert_eq!(other.as_raw_fd(), first);
        // The iterator that was forgotten took two: nobody sees them again.
        assert_eq!(batch.messages().len(), 2);
        forget(batch.messages());
        assert_eq!(batch.messages().len(), 2);
        let before = open_fds();
        drop(batch);
        // Two are closed, and neither the one that was forgotten nor the other file.
        assert_eq!(open_fds().len(), before.len() - 2);
        assert!(open_fds().iter().any(|(fd, _)| *fd == first));

        // A batch that is forgotten leaves what it has open, and its memory to be used.
        send(&a, 2);
        let mut batch = with_control(&mut memory, &mut bufs, &mut controls);
        assert_eq!(b.recv_batch(&mut batch).unwrap().len(), 2);
        let before = open_fds();
        forget(batch);
        let mut batch = with_control(&mut memory, &mut bufs, &mut controls);
        assert_eq!(batch.messages().len(), 0);
        send(&a, 1);
        assert_eq!(b.recv_batch(&mut batch).unwrap().len(), 1);
        drop(batch);
        assert_eq!(open_fds(), before);
    });
}

fn a_batch_that_is_dropped_closes_what_is_left<W: Way>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = W::pair();
        let before = open_fds();
        for taken in 0..=4 {
            let mut controls = [const { Control::new() }; 4];
            let (mut memory, mut bufs) = (BatchBuf::<4>::new(), [[0; 2]; 4]);
            let mut batch = with_control(&mut memory, &mut bufs, &mut controls);
            send(&a, 4);
            let messages = b.recv_batch(&mut batch).unwrap();
            let kept: Vec<_> = messages.take(taken).collect();
            assert_eq!(open_fds().len(), before.len() + 4);
            drop(kept);
            assert_eq!(open_fds().len(), before.len() + 4 - taken);
            drop(batch);
            assert_eq!(open_fds(), before);
        }
    });
}

/// What is behind the end is nothing, and nothing is left of it.
#[test]
fn nothing_is_left_behind_the_end() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixSeqpacket::pair().unwrap();
    b.set_passcred(true).unwrap();
    a.send(b"ab").unwrap();
    close(a);
    let mut controls = [const { Control::new() }; 4];
    let (mut memory, mut bufs) = (BatchBuf::<4>::new(), [[0; 2]; 4]);
    let mut batch = with_control(&mut memory, &mut bufs, &mut controls);
    assert_eq!(b.recv_batch(&mut batch).unwrap().next().unwrap().data, b"ab");
    assert_eq!(batch.messages().len(), 1);
    assert_eq!(batch.messages().next().unwrap().data, b"");
    assert!(batch.messages().next().is_none());
    assert_eq!(b.take_error(), Ok(None));
}
