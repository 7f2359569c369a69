//! The memory of batches, with a stand-in for the kernel: so Miri sees all that is pointed to.

mod sending;

use core::mem::{MaybeUninit, forget};
use core::slice;
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::vec;
use std::vec::Vec;

use linux_raw_sys::net;
use rustix::fd::{IntoRawFd, OwnedFd};
use rustix::io::Errno;

use super::control::{Pipe, room, slots};
use super::pair;
use crate::addr::UnixAddr;
use crate::sys::batch::{Incoming, Storage};
use crate::sys::control::Arrived;
use crate::sys::fd::{adopt, borrow};
use crate::sys::msg::{BatchHeader, CTRUNC};
use crate::wire::cmsg::SCM_RIGHTS;

/// What one message is, as the stand-in delivers it.
#[derive(Clone, Copy, Default)]
struct Post<'a> {
    data: &'a [u8],
    /// The bytes of an address, and how long it is said to be.
    name: (&'a [u8], i32),
    /// How many descriptors, all of them of one pipe.
    fds: usize,
}

fn text(data: &[u8]) -> Post<'_> {
    Post { data, ..Post::default() }
}

/// Does what `recvmmsg` does. All that it writes to, and nothing else, the batch has to let it.
fn deliver(
    headers: &mut [BatchHeader],
    posts: &[Post<'_>],
    pipe: Option<&Pipe>,
) -> Result<usize, Errno> {
    if posts.is_empty() {
        return Err(Errno::AGAIN);
    }
    for (BatchHeader { header, len }, post) in headers.iter_mut().zip(posts) {
        assert_eq!(header.piece_count, 1);
        // SAFETY: there is one.
        let piece = unsafe { header.pieces.read() };
        let fits = post.data.len().min(usize::try_from(piece.iov_len).unwrap());
        // SAFETY: there is room for so many, as the piece says.
        unsafe { piece.iov_base.cast::<u8>().copy_from(post.data.as_ptr(), fits) };
        *len = u32::try_from(post.data.len()).unwrap();
        if header.name.is_null() {
            assert_eq!(header.name_len, 0);
        } else {
            assert_eq!(header.name_len, 110, "it is to be offered anew");
            let (bytes, len) = post.name;
            let fits = bytes.len().min(110);
            // SAFETY: there is room for so many, as the header says.
            unsafe { header.name.cast::<u8>().copy_from(bytes.as_ptr(), fits) };
            header.name_len = len;
        }
        header.flags = MaybeUninit::new(0);
        if header.control.is_null() {
            assert_eq!(header.control_len, 0);
            header.flags = MaybeUninit::new(if post.fds > 0 { CTRUNC } else { 0 });
        } else {
            assert_eq!(header.control_len, 512, "it is to be offered anew");
            // SAFETY: there is room for so many, as the header says.
            let room =
                unsafe { slice::from_raw_parts_mut(header.control.cast(), header.control_len) };
            let sent = if post.fds > 0 { slots(SCM_RIGHTS, &vec![0; post.fds]) } else { vec![] };
            forget(Arrived::installed(room, &sent, |_| Some(pipe.unwrap().copy())));
            header.control_len = sent.len();
        }
    }
    Ok(posts.len().min(headers.len()))
}

fn receive(batch: &mut Incoming<'_>, posts: &[Post<'_>]) -> Result<usize, Errno> {
    // SAFETY: it does what the kernel does, and there are no descriptors.
    unsafe { batch.receive_by(|headers| deliver(headers, posts, None)) }
}

fn receive_fds(batch: &mut Incoming<'_>, pipe: &Pipe, counts: &[usize]) -> Result<usize, Errno> {
    let posts: Vec<_> = counts.iter().map(|fds| Post { fds: *fds, ..text(b"x") }).collect();
    // SAFETY: it does what the kernel does, and nobody else is told of the descriptors.
    unsafe { batch.receive_by(|headers| deliver(headers, &posts, Some(pipe))) }
}

/// The beginnings of the buffers, as far as there are messages.
fn texts(batch: &mut Incoming<'_>) -> Vec<Vec<u8>> {
    batch
        .take()
        .map(|message| message.buf[..message.size.min(message.buf.len())].to_vec())
        .collect()
}

/// An address, as the kernel writes it.
fn named(name: &UnixAddr) -> (Vec<u8>, i32) {
    (name.raw().to_vec(), i32::try_from(name.raw().len()).unwrap())
}

#[test]
fn memory_is_used_again_by_batches_of_other_borrows() {
    let mut storage = Box::new(Storage::<3>::new());
    for turn in 0..3_u8 {
        let mut bufs = [[0xee_u8; 4]; 3];
        let [first, rest @ ..] = &mut bufs;
        let mut batch = Incoming::new(&mut *storage);
        assert_eq!((batch.capacity(), batch.len(), batch.filled()), (3, 0, 0));
        batch.push(first).unwrap();
        batch.push_all(rest).unwrap();
        assert!(batch.push(&mut []).is_none());
        assert_eq!(receive(&mut batch, &[text(&[turn; 2]), text(b"longer")]), Ok(2));
        assert_eq!(texts(&mut batch), [&[turn; 2][..], b"long"]);
        assert_eq!(receive(&mut batch, &[text(b"again")]), Ok(1));
        assert_eq!(texts(&mut batch), [b"agai"]);
        drop(batch);
        assert_eq!(bufs, [*b"agai", *b"long", [0xee; 4]]);
        // It lies somewhere else from now on.
        let moved = Box::new(*storage);
        storage = moved;
    }
}

#[test]
fn messages_of_a_batch_are_looked_at_together() {
    let (mut storage, mut bufs) = (Storage::<4>::new(), [[0_u8; 4]; 4]);
    let (mut froms, mut rooms) = ([UnixAddr::UNNAMED; 4], [room(); 4]);
    let mut batch = Incoming::new(&mut storage);
    for ((buf, from), room) in bufs.iter_mut().zip(&mut froms).zip(&mut rooms) {
        batch.push_with(buf, room, Some(from)).unwrap();
    }
    let pipe = Pipe::new();
    assert_eq!(receive_fds(&mut batch, &pipe, &[1, 0, 2]), Ok(3));
    let mut messages: Vec<_> = batch.take().collect();
    let [first, second, third] = &mut messages[..] else { panic!("there are three") };
    first.buf.copy_from_slice(b"1111");
    third.buf.copy_from_slice(b"3333");
    assert_eq!((&*second.buf, second.size), (&b"x\0\0\0"[..], 1));
    assert_eq!(
        [&first, &second, &third].map(|message| message.from),
        [Some(&UnixAddr::UNNAMED); 3]
    );
    let arrived = [&mut *first, second, third].map(|message| message.arrived.take().unwrap());
    assert!(arrived.iter().map(|arrived| arrived.iter().count()).eq([1, 0, 1]));
    let taken: Vec<OwnedFd> = arrived
        .into_iter()
        .flat_map(|arrived| arrived.sort().take_rights().collect::<Vec<_>>())
        .collect();
    assert_eq!(taken.len(), 3);
    drop(messages);
    assert_eq!(batch.take().count(), 0);
    drop(taken);
    pipe.assert_closed();
}

#[test]
fn addresses_are_settled_whatever_becomes_of_the_batch() {
    let full = UnixAddr::from_pathname(&[b'p'; 108]).unwrap();
    let short = UnixAddr::from_abstract_name(b"\0short\0").unwrap();
    let inet = [&net::AF_INET.to_ne_bytes()[..2], &[0xff; 14]].concat();
    let before = UnixAddr::from_pathname(b"/before").unwrap();
    let (mut storage, mut bufs, mut froms) = (Storage::<6>::new(), [[0_u8; 1]; 6], [before; 6]);
    let mut batch = Incoming::new(&mut storage);
    for (buf, from) in bufs.iter_mut().zip(&mut froms) {
        batch.push_with(buf, &mut [], Some(from)).unwrap();
    }
    let (short_bytes, short_len) = named(&short);
    let posts = [
        // The NUL that does not fit is counted.
        Post { name: (full.raw(), 111), ..text(b"1") },
        Post { name: (&[], 0), ..text(b"2") },
        Post { name: (&short_bytes, short_len), ..text(b"3") },
        Post { name: (&inet, 16), ..text(b"4") },
        // More than there is room for.
        Post { name: (&[1; 110], 9999), ..text(b"5") },
    ];
    for _ in 0..2 {
        assert_eq!(receive(&mut batch, &posts), Ok(5));
        let names: Vec<_> = batch.take().map(|message| message.from.copied()).collect();
        assert_eq!(names, [Some(full), Some(UnixAddr::UNNAMED), Some(short), None, None]);
        // The other way round where it was not there.
        assert_eq!(receive(&mut batch, &posts[2..3]), Ok(1));
        assert_eq!(batch.take().next().unwrap().from, Some(&short));
    }
    forget(batch);
    let none = UnixAddr::UNNAMED;
    assert_eq!(froms, [short, none, short, none, none, before]);
}

#[test]
fn descriptors_have_one_owner() {
    for (taken, forgets) in [(0, false), (1, false), (2, true), (3, false), (0, true), (3, true)] {
        let pipe = Pipe::new();
        let (mut storage, mut bufs, mut rooms) = (Storage::<3>::new(), [[0_u8; 1]; 3], [room(); 3]);
        let mut batch = Incoming::new(&mut storage);
        for (buf, room) in bufs.iter_mut().zip(&mut rooms) {
            batch.push_with(buf, room, None).unwrap();
        }
        assert_eq!(receive_fds(&mut batch, &pipe, &[2, 1, 3]), Ok(3));
        let mut messages = batch.take();
        assert_eq!(messages.len(), 3);
        let some: Vec<_> = messages.by_ref().take(taken).collect();
        if forgets {
            forget(messages);
        } else {
            drop(messages);
        }
        drop(some);
        // What was not taken is still there, and closed by the next call.
        assert_eq!(batch.take().len(), 3 - taken);
        assert_eq!(receive_fds(&mut batch, &pipe, &[4]), Ok(1));
        assert_eq!(batch.take().len(), 1);
        assert_eq!(batch.take().map(|message| message.control_room).sum::<usize>(), 512);
        assert_eq!(receive_fds(&mut batch, &pipe, &[2, 2]), Ok(2));
        // So it is by one that fails.
        assert_eq!(receive_fds(&mut batch, &pipe, &[]), Err(Errno::AGAIN));
        assert_eq!((batch.filled(), batch.take().len()), (0, 0));
        assert_eq!(receive_fds(&mut batch, &pipe, &[1, 1, 1]), Ok(3));
        drop(batch);
        pipe.assert_closed();
    }
}

#[test]
fn a_message_that_is_forgotten_is_closed_by_nobody() {
    let pipe = Pipe::new();
    let (mut storage, mut bufs, mut rooms) = (Storage::<2>::new(), [[0_u8; 1]; 2], [room(); 2]);
    let mut batch = Incoming::new(&mut storage);
    for (buf, room) in bufs.iter_mut().zip(&mut rooms) {
        batch.push_with(buf, room, None).unwrap();
    }
    assert_eq!(receive_fds(&mut batch, &pipe, &[1, 1]), Ok(2));
    let mut messages = batch.take();
    let mut first = messages.next().unwrap();
    let arrived = first.arrived.take().unwrap();
    let numbers: Vec<i32> = arrived.sort().take_rights().map(OwnedFd::into_raw_fd).collect();
    forget((first, messages));
    // It is gone for the batch, and not closed by it.
    assert_eq!(batch.take().len(), 1);
    drop(batch);
    for number in numbers {
        // SAFETY: its owner was forgotten.
        drop(unsafe { adopt(usize::try_from(number).unwrap()) });
    }
    pipe.assert_closed();
}

#[test]
fn what_is_cut_off_is_closed() {
    let pipe = Pipe::new();
    let (mut storage, mut bufs, mut rooms) = (Storage::<4>::new(), [[0_u8; 1]; 4], [room(); 4]);
    let mut batch = Incoming::new(&mut storage);
    for (buf, room) in bufs.iter_mut().zip(&mut rooms) {
        batch.push_with(buf, room, None).unwrap();
    }
    assert_eq!(receive_fds(&mut batch, &pipe, &[1, 0, 2, 3]), Ok(4));
    let glances: Vec<_> = (0..5).map(|at| batch.glance(at)).collect();
    assert!(glances[4].is_none());
    let seen: Vec<_> = glances.into_iter().flatten().collect();
    assert!(seen.iter().all(|glance| glance.size == 1 && glance.data_room == 1 && !glance.named));
    assert!(seen.iter().map(|glance| glance.controlled).eq([true, false, true, true]));
    batch.shorten(2);
    assert_eq!((batch.filled(), batch.take().len()), (2, 2));
    // No more than there is, and no less than was taken.
    batch.shorten(9);
    assert_eq!(batch.take().nth(1).unwrap().size, 1);
    batch.shorten(0);
    assert_eq!((batch.filled(), batch.take().len()), (2, 0));
    drop(batch);
    pipe.assert_closed();
}

/// Bytes that say where they are only so often.
struct Fickle<'a>(&'a mut [u8], bool);

impl AsMut<[u8]> for Fickle<'_> {
    fn as_mut(&mut self) -> &mut [u8] {
        assert!(self.1, "not this one");
        self.0
    }
}

/// Without it a closure that uses up what it has is not known to be called once.
fn once<R>(call: impl FnOnce() -> R) -> impl FnOnce() -> R {
    call
}

#[test]
fn a_panic_of_the_caller_s_adds_nothing() {
    let (mut storage, mut first, mut bufs) = (Storage::<4>::new(), [0_u8; 2], [[0xee_u8; 2]; 3]);
    let mut batch = Incoming::new(&mut storage);
    batch.push(&mut first).unwrap();
    let [one, two, three] = &mut bufs;
    let mut fickle = [Fickle(one, true), Fickle(two, false), Fickle(three, true)];
    let (to, all) = (&mut batch, &mut fickle[..]);
    let panics = catch_unwind(AssertUnwindSafe(once(move || to.push_all(all))));
    assert!(panics.is_err());
    assert_eq!(batch.len(), 1);
    assert_eq!(receive(&mut batch, &[text(b"ab"), text(b"cd")]), Ok(1));
    assert_eq!(texts(&mut batch), [b"ab"]);
    drop(batch);
    assert_eq!(bufs, [[0xee; 2]; 3]);
}

#[test]
fn of_no_memory_there_is_nothing() {
    let mut storage = Storage::<0>::new();
    let mut batch = Incoming::new(&mut storage);
    assert!(batch.push(&mut []).is_none());
    assert_eq!((batch.ends_empty(), batch.has_more(), batch.take().len()), (false, false, 0));
    assert!(batch.glance(0).is_none());
    batch.shorten(0);
}

/// See "What no message came for is left alone" in `kernel.md`.
#[test]
#[cfg_attr(miri, ignore = "Miri has no such system call")]
fn the_kernel_leaves_control_buffers_alone_that_nothing_came_for() {
    for kind in [rustix::net::SocketType::DGRAM, rustix::net::SocketType::SEQPACKET] {
        let (a, b) = pair(kind);
        let mut rooms = [[MaybeUninit::new(0xee_u8); 64]; 3];
        let (mut storage, mut bufs) = (Storage::<3>::new(), [[0xee_u8; 4]; 3]);
        let mut batch = Incoming::new(&mut storage);
        for (buf, room) in bufs.iter_mut().zip(&mut rooms) {
            batch.push_with(buf, room, None).unwrap();
        }
        rustix::net::send(borrow(&a), b"ab", rustix::net::SendFlags::empty()).unwrap();
        assert_eq!(batch.receive(borrow(&b), net::MSG_DONTWAIT), Ok(1));
        assert_eq!(batch.take().next().unwrap().size, 2);
        assert_eq!(batch.receive(borrow(&b), net::MSG_DONTWAIT), Err(Errno::AGAIN));
        drop(batch);
        // SAFETY: all of them were written before.
        assert!(rooms.iter().flatten().all(|byte| unsafe { byte.assume_init() } == 0xee));
        assert_eq!(bufs, [[b'a', b'b', 0xee, 0xee], [0xee; 4], [0xee; 4]]);
    }
}
