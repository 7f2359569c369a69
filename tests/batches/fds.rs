//! Descriptors and credentials, of each message its own.

use std::fs::File;

use afunix::{
    AncillaryBuf, AsFd, AsRawFd, BatchBuf, Credentials, Errno, IoSlice, RecvError, SendError,
    Space, Truncation, UnixStream,
};

use crate::common::emulated::{CUT, NO_PIECES, left_out_by_qemu};
use crate::common::kinds::Socket;
use crate::common::passes::Passes;
use crate::common::{Watchdog, identity, open_fds, passes_in_child};
use crate::ways::{Free, Way};

const ROOM: usize = Space::new().credentials().rights::<4>().bytes();

type Control = AncillaryBuf<ROOM>;

/// Files that are told apart.
fn files(count: usize) -> Vec<UnixStream> {
    (0..count).map(|_| UnixStream::unbound().unwrap()).collect()
}

fn mine() -> Credentials {
    Credentials {
        pid: afunix::Pid::from_raw(std::process::id().cast_signed()),
        uid: rustix::process::getuid(),
        gid: rustix::process::getgid(),
    }
}

fn inode(fd: &impl AsRawFd) -> u64 {
    identity(fd).1
}

/// Sends so many descriptors, one message each of two bytes.
fn send_counts<W: Way>(socket: &W, files: &[UnixStream], counts: &[usize]) {
    let fds: Vec<_> = files.iter().map(UnixStream::as_fd).collect();
    for count in counts {
        assert_eq!(socket.send_fds(b"ab", &fds[..*count]).unwrap().bytes, 2);
    }
}

for_ways!(
    each_message_brings_its_own
    what_one_message_has_no_room_for_is_no_matter_to_the_others
    control_messages_are_taken_once
    without_room_for_them_descriptors_are_told_to_be_lost
    too_many_descriptors_stop_those_behind
    credentials_that_may_not_be_claimed_stop_those_behind
    descriptors_close_on_exec
);

fn each_message_brings_its_own<W: Way>(_: &str) {
    let (a, b) = W::pair();
    b.set_passcred(true).unwrap();
    let files = files(4);
    let fds: Vec<_> = files.iter().map(UnixStream::as_fd).collect();
    let mut controls = [const { Control::new() }; 5];
    let counts = [1, 0, 3, 4, 2];
    let writers: Vec<_> = controls
        .iter_mut()
        .zip(counts)
        .map(|(control, count)| {
            let mut writer = control.writer();
            writer.push_fds(&fds[..count]).unwrap();
            if count > 2 {
                writer.push_credentials(mine()).unwrap();
            }
            writer
        })
        .collect();
    let data = [IoSlice::new(b"a"), IoSlice::new(b"b")];
    let mut memory = BatchBuf::<5>::new();
    let mut batch = memory.sender();
    for writer in &writers {
        batch.push_with(&data, writer, None).unwrap();
    }
    for _ in 0..2 {
        batch.rewind();
        assert_eq!(a.send_batch(&mut batch), Ok(5));
    }
    drop(writers);

    let mut bufs = [[0; 2]; 5];
    let mut batch = memory.receiver();
    for (buf, control) in bufs.iter_mut().zip(&mut controls) {
        batch.push_with(buf, control, None).unwrap();
    }
    for _ in 0..2 {
        let messages = b.recv_batch(&mut batch).unwrap();
        assert_eq!(messages.len(), 5);
        for (mut message, count) in messages.zip(counts) {
            assert_eq!(message.data, b"ab");
            let mut ancillary = message.take_ancillary().unwrap();
            assert_eq!(ancillary.credentials(), Some(mine()));
            assert_eq!(ancillary.truncation(), None);
            let inodes: Vec<_> = ancillary.take_fds().map(|fd| inode(&fd)).collect();
            assert_eq!(inodes, files[..count].iter().map(inode).collect::<Vec<_>>());
        }
    }
}

fn what_one_message_has_no_room_for_is_no_matter_to_the_others<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let files = files(20);
    for lossy in [false, true] {
        send_counts(&a, &files, &[2, 20, 3]);
        let (mut bufs, mut controls) = ([[0; 2]; 3], [const { Control::new() }; 3]);
        let mut memory = BatchBuf::<3>::new();
        let mut batch = memory.receiver();
        for (buf, control) in bufs.iter_mut().zip(&mut controls) {
            batch.push_with(buf, control, None).unwrap();
        }
        let mut messages: Vec<_> = b.recv_batch(&mut batch).unwrap().collect();
        let [first, second, third] = &mut messages[..] else { panic!("{messages:?}") };
        // In any order.
        assert_eq!(third.take_ancillary().unwrap().fds().count(), 3);
        if left_out_by_qemu(CUT) {
            drop(second.take_ancillary_lossy());
        } else if lossy {
            let ancillary = second.take_ancillary_lossy();
            assert_eq!(ancillary.truncation(), Some(Truncation::BufferFull));
            assert!((4..20).contains(&ancillary.fds().count()));
        } else {
            let error = second.take_ancillary().map(drop).unwrap_err();
            let RecvError::ControlTruncated { bytes: 2, size: 2, closed, cause, .. } = error else {
                panic!("{error:?}");
            };
            assert_eq!(cause, Truncation::BufferFull);
            assert!((4..20).contains(&closed));
        }
        assert_eq!(second.data, b"ab");
        let first = first.take_ancillary_lossy();
        assert_eq!((first.fds().count(), first.truncation()), (2, None));
    }
}

fn control_messages_are_taken_once<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let files = files(20);
    send_counts(&a, &files, &[2, 20]);
    let (mut bufs, mut controls) = ([[0; 2]; 2], [const { Control::new() }; 2]);
    let mut memory = BatchBuf::<2>::new();
    let mut batch = memory.receiver();
    for (buf, control) in bufs.iter_mut().zip(&mut controls) {
        batch.push_with(buf, control, None).unwrap();
    }
    let mut messages = b.recv_batch(&mut batch).unwrap();
    let mut first = messages.next().unwrap();
    let taken = first.take_ancillary().unwrap();
    assert_eq!(taken.fds().count(), 2);
    let numbers: Vec<_> = taken.fds().map(|fd| fd.as_raw_fd()).collect();
    let again = first.take_ancillary().unwrap();
    assert_eq!((again.fds().count(), again.truncation()), (0, None));
    assert_eq!(first.take_ancillary_lossy().fds().count(), 0);
    // They outlive the message that they came with.
    drop((first, again));
    let mut second = messages.next().unwrap();
    drop(messages);
    assert!(taken.fds().map(|fd| identity(&fd).0).eq(numbers));
    let is_cut = second.take_ancillary().is_err();
    assert!(is_cut || left_out_by_qemu(CUT));
    let rest = second.take_ancillary().unwrap();
    assert_eq!((rest.fds().count(), rest.truncation()), (0, None));
}

/// See "Descriptors sent along" in `kernel.md`.
fn without_room_for_them_descriptors_are_told_to_be_lost<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let files = files(1);
    send_counts(&a, &files, &[1, 1, 0]);
    let (mut bufs, mut none) = ([[0; 2]; 3], AncillaryBuf::<0>::new());
    let [first, second, third] = &mut bufs;
    let mut memory = BatchBuf::<3>::new();
    let mut batch = memory.receiver();
    batch.push(first).unwrap();
    batch.push_with(second, &mut none, None).unwrap();
    batch.push(third).unwrap();
    let before = open_fds();
    let mut messages = b.recv_batch(&mut batch).unwrap();
    for _ in 0..2 {
        let mut message = messages.next().unwrap();
        assert_eq!(message.data, b"ab");
        let error = message.take_ancillary().map(drop).unwrap_err();
        assert!(
            matches!(error, RecvError::ControlTruncated { bytes: 2, closed: 0, .. }),
            "{error:?}"
        );
    }
    assert!(messages.next().unwrap().take_ancillary().is_ok());
    let inodes: Vec<_> = files.iter().map(inode).collect();
    let has = |fd: &(i32, std::path::PathBuf)| {
        inodes.iter().any(|inode| fd.1.to_string_lossy().contains(&inode.to_string()))
    };
    let count = |fds: &[(i32, std::path::PathBuf)]| fds.iter().filter(|fd| has(fd)).count();
    assert_eq!(count(&open_fds()), count(&before));
}

/// See "At most 253 descriptors a message" in `kernel.md`.
fn too_many_descriptors_stop_those_behind<W: Way>(_: &str) {
    let null = File::open("/dev/null").unwrap();
    // SAFETY: it is open as long as the file, which outlives it.
    let null = unsafe { afunix::BorrowedFd::borrow_raw(std::os::fd::AsRawFd::as_raw_fd(&null)) };
    let many = [null; 254];
    let (mut first, mut second) = (AncillaryBuf::<1300>::new(), AncillaryBuf::<1300>::new());
    let (mut wrong, mut right) = (first.writer(), second.writer());
    wrong.push_fds(&many[..200]).unwrap();
    wrong.push_fds(&many[200..]).unwrap();
    right.push_fds(&many[..253]).unwrap();
    let data = [IoSlice::new(b"ab")];
    for at in 0..3 {
        let (a, b) = W::pair();
        let mut memory = BatchBuf::<3>::new();
        let mut batch = memory.sender();
        for number in 0..3 {
            batch.push_with(&data, if number == at { &wrong } else { &right }, None).unwrap();
        }
        if at > 0 {
            assert_eq!(a.send_batch(&mut batch), Ok(at));
        }
        for _ in 0..2 {
            assert_eq!(a.send_batch(&mut batch), Err(SendError::TooManyFds { fds: 254 }));
            assert_eq!(batch.sent(), at);
        }
        batch.skip();
        // None is left where the wrong one was the last.
        assert_eq!(a.send_batch(&mut batch), Ok(2 - at));
        for _ in 0..2 {
            assert_eq!(b.recv_fds::<253>(&mut [0; 2]).unwrap().1.len(), 253);
        }
    }
}

/// See "Credentials that a sender may claim" in `kernel.md`. An `EINVAL` of few descriptors is not taken
/// for too many.
fn credentials_that_may_not_be_claimed_stop_those_behind<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let mut claim = mine();
    claim.pid = afunix::Pid::from_raw(i32::MAX);
    let (mut first, mut second) = (Control::new(), Control::new());
    let (mut wrong, mut right) = (first.writer(), second.writer());
    wrong.push_fds(&[a.as_fd()]).unwrap();
    wrong.push_credentials(claim).unwrap();
    right.push_credentials(mine()).unwrap();
    let data = [IoSlice::new(b"ab")];
    let mut memory = BatchBuf::<3>::new();
    let mut batch = memory.sender();
    batch.push_with(&data, &right, None).unwrap();
    batch.push_with(&data, &wrong, None).unwrap();
    batch.push_with(&data, &right, None).unwrap();
    assert_eq!(a.send_batch(&mut batch), Ok(1));
    let error = a.send_batch(&mut batch).unwrap_err();
    assert!(matches!(error, SendError::Kernel(Errno::SRCH | Errno::PERM)), "{error:?}");
    assert_eq!(batch.sent(), 1);
    batch.skip();
    assert_eq!(a.send_batch(&mut batch), Ok(1));
    b.set_nonblocking(true).unwrap();
    let mut got = 0;
    while let Ok((received, fds)) = b.recv_fds::<4>(&mut [0; 8]) {
        assert_eq!(fds.len(), 0);
        got += received.bytes;
    }
    assert_eq!(got, 4);
}

/// See "Received descriptors close on exec if asked" in `kernel.md`.
fn descriptors_close_on_exec<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let files = files(2);
    send_counts(&a, &files, &[2, 1]);
    let (mut bufs, mut controls) = ([[0; 2]; 2], [const { Control::new() }; 2]);
    let mut memory = BatchBuf::<2>::new();
    let mut batch = memory.receiver();
    for (buf, control) in bufs.iter_mut().zip(&mut controls) {
        batch.push_with(buf, control, None).unwrap();
    }
    let mut seen = 0;
    for mut message in b.recv_batch(&mut batch).unwrap() {
        for fd in message.take_ancillary().unwrap().fds() {
            assert_eq!(identity(&fd).2, libc::FD_CLOEXEC);
            seen += 1;
        }
    }
    assert_eq!(seen, 3);
}

for_message_ways!(descriptors_need_no_data);
fn descriptors_need_no_data<W: Way>(_: &str) {
    let (a, b) = W::pair();
    let mut control = Control::new();
    let mut writer = control.writer();
    writer.push_fds(&[a.as_fd()]).unwrap();
    let nothing = [IoSlice::new(b"")];
    let mut memory = BatchBuf::<2>::new();
    let mut batch = memory.sender();
    let none: &[IoSlice<'_>] = if left_out_by_qemu(NO_PIECES) { &nothing } else { &[] };
    batch.push_with(none, &writer, None).unwrap();
    batch.push_with(&nothing, &writer, None).unwrap();
    assert_eq!(a.send_batch(&mut batch), Ok(2));
    for _ in 0..2 {
        let (received, fds) = b.recv_fds::<1>(&mut [0; 2]).unwrap();
        assert_eq!((received.size, fds.len()), (0, 1));
    }
}

/// See "A stream carries descriptors on a byte" in `kernel.md`.
#[test]
fn descriptors_without_data_are_refused_on_a_stream_when_it_is_their_turn() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    let (mut first, mut second) = (Control::new(), Control::new());
    let (mut one, mut none) = (first.writer(), second.writer());
    one.push_fds(&[a.as_fd(), b.as_fd()]).unwrap();
    none.push_fds(&[]).unwrap();
    let (data, nothing) = ([IoSlice::new(b"ab")], [IoSlice::new(b"")]);
    let mut memory = BatchBuf::<5>::new();
    let mut batch = memory.sender();
    batch.push(b"first").unwrap();
    batch.push_with(&data, &one, None).unwrap();
    batch.push_with(&nothing, &none, None).unwrap();
    batch.push_with(&nothing, &one, None).unwrap();
    batch.push(b"last").unwrap();
    b.set_nonblocking(true).unwrap();
    for _ in 0..2 {
        // Those before it go, and nothing of it.
        assert_eq!(afunix::send_batch(&a, &mut batch), Ok(3));
        for _ in 0..2 {
            let answer = afunix::send_batch(&a, &mut batch);
            assert_eq!(answer, Err(SendError::NoData { fds: 2 }));
            assert_eq!((batch.sent(), batch.unsent()), (3, 2));
        }
        assert_eq!(b.recv_fds::<2>(&mut [0; 8]).unwrap().1.len(), 2);
        assert_eq!(b.read(&mut [0; 8]), Err(Errno::AGAIN));
        // Once it has been passed over there is nothing wrong with the rest.
        batch.skip();
        assert_eq!(afunix::send_batch(&a, &mut batch), Ok(1));
        assert_eq!(b.read(&mut [0; 8]), Ok(4));
        batch.rewind();
    }
    batch.clear();
    batch.push_with(&data, &one, None).unwrap();
    assert_eq!(afunix::send_batch(&a, &mut batch), Ok(1));
    assert_eq!(b.recv_fds::<2>(&mut [0; 8]).unwrap().1.len(), 2);
}

/// In a child: what is open can be counted where no other test opens anything.
#[test]
fn what_was_not_taken_is_closed_with_its_message() {
    let _watchdog = Watchdog::new();
    passes_in_child("fds::what_was_not_taken_is_closed_with_its_message", || {
        let (a, b) = UnixStream::pair().unwrap();
        let files = files(4);
        let before = open_fds();
        let (mut bufs, mut controls) = ([[0; 2]; 3], [const { Control::new() }; 3]);
        let mut memory = BatchBuf::<3>::new();
        let mut batch = memory.receiver();
        for (buf, control) in bufs.iter_mut().zip(&mut controls) {
            batch.push_with(buf, control, None).unwrap();
        }
        let (a, b) = (Free::from(a), Free::from(b));
        send_counts(&a, &files, &[4, 2, 1]);
        let mut messages = b.recv_batch(&mut batch).unwrap();
        assert_eq!(open_fds().len(), before.len() + 7);
        let mut first = messages.next().unwrap();
        let taken = first.take_ancillary().unwrap().take_fds().next().unwrap();
        assert_eq!(open_fds().len(), before.len() + 4);
        drop(messages.next());
        assert_eq!(open_fds().len(), before.len() + 2);
        drop((taken, first, messages));
        drop(batch);
        assert_eq!(open_fds(), before);
    });
}
