//! Descriptors that came and were not taken: all of them, some of them, more than were wanted.

use afunix::{
    AncillaryBuf, AsRawFd, OwnedFd, RecvError, RecvOptions, Space, Truncation, UnixSeqpacket,
    UnixStream,
};

use crate::common::Watchdog;
use crate::common::emulated::{CUT, left_out_by_qemu};
use crate::control::{self, HEADER, Token, Walk, is_cloexec, recv, recv_as};

const ROOMY: usize = Space::new().credentials().rights::<16>().bytes();

/// What a call that closed some descriptors says of a message of one byte.
#[track_caller]
fn assert_truncated(error: RecvError, all: usize) {
    let RecvError::ControlTruncated { bytes, closed, cause, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!((bytes, closed, cause), (1, all, Truncation::BufferFull));
}

/// On a `SocketAncillary` of std's nightly, messages that nobody iterates over leave their descriptors
/// open.
#[test]
fn messages_that_nobody_looks_at_leave_nothing_open() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixSeqpacket::pair().unwrap();
    let mut token = Token::new();
    let mut buf = AncillaryBuf::<ROOMY>::new();
    for _ in 0..3 {
        a.send_fds(b"x", &[token.fd(); 2]).unwrap();
        recv(&b, &mut buf).map(drop).unwrap();
        a.send_fds(b"x", &[token.fd(); 2]).unwrap();
        b.recv_fds::<2>(&mut [0; 8]).map(drop).unwrap();
    }
    token.assert_all_closed();

    // Control: numbers in a buffer close nothing when it is dropped.
    let mut token = Token::new();
    a.send_fds(b"x", &[token.fd(); 2]).unwrap();
    let fds = control::rights(&control::messages(
        &control::receive(&b, 8, ROOMY, libc::MSG_CMSG_CLOEXEC).control,
        Walk::Right,
    ));
    token.assert_held();
    control::close(&fds);
    token.assert_all_closed();
}

/// rustix 1.1.6 goes on behind credentials without their padding: what comes next is lost, and its
/// descriptors stay open; with debug assertions on, the process is ended.
#[test]
fn message_behind_one_that_was_taken_is_found_or_closed() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixSeqpacket::pair().unwrap();
    b.set_passcred(true).unwrap();
    let (mut taken, mut dropped) = (Token::new(), Token::new());
    let mut buf = AncillaryBuf::<ROOMY>::new();

    a.send_fds(b"x", &[dropped.fd()]).unwrap();
    let ancillary = recv(&b, &mut buf).unwrap();
    assert!(ancillary.credentials().is_some());
    drop(ancillary);
    dropped.assert_all_closed();

    // The same, but the rest is asked for: some of it, and then some more.
    let mut dropped = Token::new();
    a.send_fds(b"x", &[taken.fd(), taken.fd(), dropped.fd()]).unwrap();
    let mut ancillary = recv(&b, &mut buf).unwrap();
    assert!(ancillary.credentials().is_some());
    let first = ancillary.take_fds().next().unwrap();
    assert!(ancillary.credentials().is_some());
    let second = ancillary.take_fds().next().unwrap();
    assert_eq!(ancillary.fds().count(), 1);
    drop(ancillary);
    dropped.assert_all_closed();
    taken.assert_held();
    drop([first, second]);
    taken.assert_all_closed();

    // Control: where padding is not skipped, there are credentials and nothing else.
    let mut token = Token::new();
    a.send_fds(b"x", &[token.fd()]).unwrap();
    let raw = control::receive(&b, 8, ROOMY, libc::MSG_CMSG_CLOEXEC);
    let fds = control::rights(&control::messages(&raw.control, Walk::Right));
    assert_eq!(fds.len(), 1);
    if cfg!(target_pointer_width = "64") {
        let seen = control::messages(&raw.control, Walk::Unaligned);
        assert_eq!(seen.iter().map(|message| message.kind).collect::<Vec<_>>(), [2]);
    }
    token.assert_held();
    control::close(&fds);
    token.assert_all_closed();
}

/// nix 0.31.3, and std's nightly, give the same numbers each time they are asked, so that two owners
/// can be made of one descriptor.
#[test]
fn asking_twice_gives_each_descriptor_once() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixSeqpacket::pair().unwrap();
    let mut token = Token::new();
    let mut buf = AncillaryBuf::<ROOMY>::new();
    a.send_fds(b"x", &[token.fd(); 3]).unwrap();
    let mut ancillary = recv(&b, &mut buf).unwrap();
    let lent: Vec<_> = ancillary.fds().map(|fd| fd.as_raw_fd()).collect();
    let first: Vec<OwnedFd> = ancillary.take_fds().take(2).collect();
    let second: Vec<OwnedFd> = ancillary.take_fds().collect();
    assert_eq!(ancillary.take_fds().count(), 0);
    assert_eq!(ancillary.fds().count(), 0);
    // Each of those that were lent, once.
    let all: Vec<_> = first.iter().chain(&second).map(AsRawFd::as_raw_fd).collect();
    assert_eq!((first.len(), second.len(), &all), (2, 1, &lent));
    // They are not the buffer's any more.
    drop(ancillary);
    assert!(all.iter().all(|fd| is_cloexec(*fd)));
    token.assert_held();
    drop((first, second));
    token.assert_all_closed();

    // Control: the bytes say the same thing each time.
    let token = Token::new();
    a.send_fds(b"x", &[token.fd()]).unwrap();
    let raw = control::receive(&b, 8, ROOMY, libc::MSG_CMSG_CLOEXEC);
    let ask = || control::rights(&control::messages(&raw.control, Walk::Right));
    assert_eq!((ask().len(), ask()), (1, ask()));
    control::close(&ask());
}

/// nix 0.31.3 gives `ENOBUFS` instead of the messages, and nobody can close what came.
#[test]
fn more_descriptors_than_room_are_an_error_and_all_are_closed() {
    let _watchdog = Watchdog::new();
    const ROOM: usize = Space::new().rights::<4>().bytes();
    if left_out_by_qemu(CUT) {
        return;
    }
    let (a, b) = UnixSeqpacket::pair().unwrap();
    let mut token = Token::new();
    let mut buf = AncillaryBuf::<ROOM>::new();
    a.send_fds(b"x", &[token.fd(); 10]).unwrap();
    assert_truncated(recv(&b, &mut buf).unwrap_err(), 4);
    // Who wants them gets them.
    a.send_fds(b"x", &[token.fd(); 10]).unwrap();
    let mut ancillary = recv_as(&b, &mut buf, RecvOptions::new().lossy()).unwrap();
    assert_eq!(ancillary.truncation(), Some(Truncation::BufferFull));
    assert_eq!(ancillary.take_fds().count(), 4);
    drop(ancillary);
    token.assert_all_closed();

    // Control: they were installed all the same.
    let mut token = Token::new();
    a.send_fds(b"x", &[token.fd(); 10]).unwrap();
    let raw = control::receive(&b, 8, ROOM, libc::MSG_CMSG_CLOEXEC);
    assert_ne!(raw.flags & libc::MSG_CTRUNC, 0);
    token.assert_held();
    control::close(&control::rights(&control::messages(&raw.control, Walk::Right)));
    token.assert_all_closed();
}

/// Of ten descriptors where three are wanted, uds 0.4.2 and sendfd 0.4.5 give three and no sign that
/// there were more; those of sendfd outlive an exec, too.
#[test]
fn ten_descriptors_where_three_are_wanted_are_told_apart_from_three() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    let mut token = Token::new();
    let send = |count| a.send_fds(b"x", &vec![token.fd(); count]).unwrap();

    send(10);
    let (received, fds) = b.recv_fds::<3>(&mut [0; 8]).unwrap();
    assert_eq!((received.bytes, fds.len(), fds.surplus()), (1, 3, 7));
    assert!(fds.iter().all(|fd| is_cloexec(fd.as_raw_fd())));
    drop(fds);
    send(10);
    let error = b.recv_fds_exact::<3>(&mut [0; 8]).unwrap_err();
    assert!(matches!(error, RecvError::WrongCount { bytes: 1, wanted: 3, found: 10, .. }));
    // So many that not even their number can be told.
    if !left_out_by_qemu(CUT) {
        send(250);
        assert_truncated(b.recv_fds::<3>(&mut [0; 8]).unwrap_err(), 3 + 14);
    }
    send(3);
    let (_, fds) = b.recv_fds_exact::<3>(&mut [0; 8]).unwrap();
    assert!(fds.iter().all(|fd| is_cloexec(fd.as_raw_fd())));
    drop(fds);

    if left_out_by_qemu(CUT) {
        return;
    }
    // Control: with room for three, ten look like three in all but one flag.
    let room = HEADER + 3 * 4;
    let seen = [3, 10].map(|count| {
        send(count);
        let raw = control::receive(&b, 8, room, 0);
        let fds = control::rights(&control::messages(&raw.control, Walk::Right));
        assert!(fds.iter().all(|fd| !is_cloexec(*fd)));
        control::close(&fds);
        (raw.data, fds.len(), raw.flags & !libc::MSG_CTRUNC)
    });
    assert_eq!(seen[0], seen[1]);
    token.assert_all_closed();
}

/// passfd 0.1.6 and vmm-sys-util 0.15.0 ask for one descriptor with room for two, and of two that come
/// leave the second open. That of vmm-sys-util outlives an exec, too.
#[test]
fn second_descriptor_where_one_is_wanted_is_closed_and_counted() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    let (mut wanted, mut other) = (Token::new(), Token::new());
    a.send_fds(b"x", &[wanted.fd(), other.fd()]).unwrap();
    let (_, fds) = b.recv_fds::<1>(&mut [0; 8]).unwrap();
    assert_eq!((fds.len(), fds.surplus()), (1, 1));
    other.assert_all_closed();
    let [fd] = fds.into_array().unwrap();
    assert!(is_cloexec(fd.as_raw_fd()));
    wanted.assert_held();
    drop(fd);
    wanted.assert_all_closed();

    let (mut wanted, mut other) = (Token::new(), Token::new());
    a.send_fds(b"x", &[wanted.fd(), other.fd()]).unwrap();
    let error = b.recv_fds_exact::<1>(&mut [0; 8]).unwrap_err();
    assert!(matches!(error, RecvError::WrongCount { wanted: 1, found: 2, .. }));
    wanted.assert_all_closed();
    other.assert_all_closed();

    // Control: the usual room for one is room for two, on 64-bit machines, and the kernel uses it.
    if HEADER != 16 && left_out_by_qemu(CUT) {
        return;
    }
    let (mut wanted, mut other) = (Token::new(), Token::new());
    a.send_fds(b"x", &[wanted.fd(), other.fd()]).unwrap();
    let raw = control::receive(&b, 8, (HEADER + 4).next_multiple_of(8), 0);
    let fds = control::rights(&control::messages(&raw.control, Walk::Right));
    assert_eq!(fds.len(), if HEADER == 16 { 2 } else { 1 });
    assert!(!is_cloexec(fds[0]));
    control::close(&fds[..1]);
    wanted.assert_all_closed();
    if fds.len() == 2 {
        other.assert_held();
    }
    control::close(&fds[1..]);
    other.assert_all_closed();
}

/// A sender of 250 descriptors makes a server that uses passfd 0.1.6 keep one of them open with each
/// message, until it has none left.
#[test]
fn messages_of_250_descriptors_leave_nothing_open() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixStream::pair().unwrap();
    let mut token = Token::new();
    let send = || a.send_fds(b"x", &vec![token.fd(); 250]).unwrap();
    let mut buf = AncillaryBuf::<{ Space::new().rights::<1>().bytes() }>::new();
    if left_out_by_qemu(CUT) {
        return;
    }
    let room = buf.capacity();
    let installed = (room - HEADER) / 4;
    for _ in 0..3 {
        send();
        assert_truncated(b.recv_fds::<1>(&mut [0; 8]).unwrap_err(), 1 + 14);
        send();
        assert_truncated(b.recv_fds_exact::<1>(&mut [0; 8]).unwrap_err(), 1 + 14);
        send();
        assert_truncated(recv(&b, &mut buf).unwrap_err(), installed);
    }

    // Control: whoever closes one with each message closes one of two.
    send();
    let raw = control::receive(&b, 8, room, libc::MSG_CMSG_CLOEXEC);
    let fds = control::rights(&control::messages(&raw.control, Walk::Right));
    assert_eq!(fds.len(), installed);
    control::close(&fds[..1]);
    if installed == 2 {
        token.assert_held();
    }
    control::close(&fds[1..]);
    token.assert_all_closed();
}

/// While a message of zbus 6.2.1 lives, its descriptors outlive an exec, as all do that rustix 1.1.6
/// receives without a flag. passfd 0.1.6 makes them close-on-exec afterwards, which is too late for
/// what another thread starts in between.
#[test]
fn descriptors_are_close_on_exec_from_the_start() {
    let _watchdog = Watchdog::new();
    let (a, b) = UnixSeqpacket::pair().unwrap();
    let mut token = Token::new();
    let mut buf = AncillaryBuf::<ROOMY>::new();
    a.send_fds(b"x", &[token.fd(); 2]).unwrap();
    let mut ancillary = recv(&b, &mut buf).unwrap();
    // Still in the buffer, and out of it.
    assert_eq!(ancillary.fds().filter(|fd| is_cloexec(fd.as_raw_fd())).count(), 2);
    assert_eq!(ancillary.take_fds().filter(|fd| is_cloexec(fd.as_raw_fd())).count(), 2);
    drop(ancillary);
    a.send_fds(b"x", &[token.fd(); 2]).unwrap();
    let (_, fds) = b.recv_fds::<2>(&mut [0; 8]).unwrap();
    assert_eq!(fds.iter().filter(|fd| is_cloexec(fd.as_raw_fd())).count(), 2);
    drop(fds);

    // Control: it takes a flag.
    for (flag, cloexec) in [(0, false), (libc::MSG_CMSG_CLOEXEC, true)] {
        a.send_fds(b"x", &[token.fd()]).unwrap();
        let raw = control::receive(&b, 8, ROOMY, flag);
        let fds = control::rights(&control::messages(&raw.control, Walk::Right));
        assert_eq!(fds.iter().map(|fd| is_cloexec(*fd)).collect::<Vec<_>>(), [cloexec]);
        control::close(&fds);
    }
    token.assert_all_closed();
}
