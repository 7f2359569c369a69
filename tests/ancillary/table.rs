//! Each size of the control buffer with each number of descriptors, on each type, with and without
//! credentials and pidfd: what comes by this crate, by a plain call, and by arithmetic.

use std::os::raw::c_int;

use afunix::{
    Ancillary, AncillaryBuf, BorrowedFd, Credentials, IoSliceMut, OwnedFd, RecvError, RecvOptions,
    Truncation,
};

use crate::common::emulated::{CUT, is_emulated, is_set, left_out_by_qemu};
use crate::common::passes_in_child;
use crate::methods::{Passes, lend, mine};
use crate::plain::{self, CREDENTIALS, FILL, HEADER, PIDFD, RIGHTS, WORD, files, inodes};

for_data!(
    what_comes_is_what_a_plain_call_gives_and_what_arithmetic_says
    cut_credentials_come_with_the_length_of_the_room
);

/// What was sent, and to what.
#[derive(Clone, Copy, Debug)]
struct Cell {
    room: usize,
    fds: usize,
    passcred: bool,
    passpidfd: bool,
}

/// What there must be in the buffer.
#[derive(Debug, Default, PartialEq)]
struct Expected {
    /// Type, place and length of each message.
    messages: Vec<(c_int, usize, usize)>,
    control_len: usize,
    fds: usize,
    credentials: bool,
    pidfd: bool,
    cause: Option<Truncation>,
}

/// The rules of `kernel.md`, in numbers: see "Room is counted in descriptors, not in messages", "A control
/// length that is not a multiple of a word", "Credentials come first, then descriptors, then the pidfd",
/// "Credentials may come cut" and "Without room for what was asked for, each receive is truncated".
fn predict(cell: Cell) -> Expected {
    let (room, mut expected) = (cell.room, Expected::default());
    if cell.passcred {
        if room >= HEADER {
            expected.put(room, CREDENTIALS, 12.min(room - HEADER));
        }
        expected.credentials = room >= HEADER + 12;
        if !expected.credentials {
            expected.cause = Some(Truncation::BufferFull);
        }
    }
    let left = room - expected.control_len;
    let fitting = left.saturating_sub(HEADER) / 4;
    expected.fds = cell.fds.min(fitting);
    if expected.fds > 0 {
        expected.put(room, RIGHTS, 4 * expected.fds);
    }
    if expected.fds < cell.fds {
        expected.cause = Some(Truncation::BufferFull);
    }
    if cell.passpidfd {
        expected.pidfd = room - expected.control_len >= HEADER + 4;
        if expected.pidfd {
            expected.put(room, PIDFD, 4);
        } else if expected.cause.is_none() {
            // Where one more descriptor would have fitted behind those that came, there is no telling
            // whether it is one of those that is missing.
            let ambiguous = expected.fds > 0 && expected.fds < fitting;
            expected.cause =
                Some(if ambiguous { Truncation::Unknown } else { Truncation::BufferFull });
        }
    }
    expected
}

impl Expected {
    /// One more message, and how much of the room it takes with its padding.
    fn put(&mut self, room: usize, kind: c_int, payload: usize) {
        let (at, len) = (self.control_len, HEADER + payload);
        self.messages.push((kind, at, len));
        self.control_len = room.min(at + len.next_multiple_of(WORD));
    }
}

/// What this crate made of a receive, with the descriptors closed.
#[derive(Debug, PartialEq)]
pub struct Seen {
    data: [u8; 4],
    pub fds: Vec<u64>,
    credentials: Option<Credentials>,
    pidfd: bool,
    pub truncation: Option<Truncation>,
}

pub type Take = fn(BorrowedFd<'_>, RecvOptions<'_>) -> Result<Seen, RecvError>;

fn take<const N: usize>(
    socket: BorrowedFd<'_>,
    options: RecvOptions<'_>,
) -> Result<Seen, RecvError> {
    let (mut control, mut data) = (AncillaryBuf::<N>::new(), [0; 4]);
    let pieces = &mut [IoSliceMut::new(&mut data)];
    let (received, mut ancillary): (_, Ancillary<'_>) =
        afunix::recv_with(socket, pieces, &mut control, options)?;
    assert_eq!((received.bytes, received.size), (2, 2));
    let lent = ancillary.fds().count();
    let fds: Vec<OwnedFd> = ancillary.take_fds().collect();
    assert_eq!((lent, ancillary.fds().count()), (fds.len(), 0));
    let credentials = ancillary.credentials();
    let pidfd = ancillary.take_pidfd().unwrap().is_some();
    assert!(ancillary.unknown().next().is_none() && ancillary.bytes_left().is_none());
    let truncation = ancillary.truncation();
    Ok(Seen { data, fds: inodes(&fds), credentials, pidfd, truncation })
}

macro_rules! rows {
    ($($ten:literal)+) => {
        [$(
            take::<{ $ten }>, take::<{ $ten + 1 }>, take::<{ $ten + 2 }>, take::<{ $ten + 3 }>,
            take::<{ $ten + 4 }>, take::<{ $ten + 5 }>, take::<{ $ten + 6 }>,
            take::<{ $ten + 7 }>, take::<{ $ten + 8 }>, take::<{ $ten + 9 }>,
        )+]
    };
}

/// For each size of the buffer the function that has one.
pub const TAKE: [Take; 170] = rows!(0 10 20 30 40 50 60 70 80 90 100 110 120 130 140 150 160);

fn open_count() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Receives by a plain call, and compares with arithmetic.
fn check_plain<T: Passes>(socket: &T, cell: Cell, expected: &Expected, sent: &[u64]) {
    let before = open_count();
    let reply = plain::recv(socket, &mut [0; 4], cell.room, 0).unwrap();
    let installed = expected.fds + usize::from(expected.pidfd);
    assert_eq!(open_count(), before + installed, "{cell:?}");
    assert_eq!(inodes(&reply.fds), sent[..expected.fds], "{cell:?}");
    assert_eq!(reply.is_truncated(), expected.cause.is_some(), "{cell:?}");
    let messages: Vec<_> =
        reply.messages.iter().map(|message| (message.kind, message.at, message.len)).collect();
    assert_eq!(messages, expected.messages, "{cell:?}");
    assert_eq!(reply.control_len, expected.control_len, "{cell:?}");
    assert_eq!(reply.ucred().is_some_and(|ucred| ucred.len() == 12), expected.credentials);
    assert!(reply.messages.iter().all(|message| message.level == libc::SOL_SOCKET));
    // See "Padding is not written" in `kernel.md`. Nor is anything behind it all.
    let mut unwritten = vec![true; reply.buffer.len()];
    for message in &reply.messages {
        unwritten[message.at..message.at + message.len].fill(false);
    }
    let mut bytes = reply.buffer.iter().zip(unwritten);
    assert!(bytes.all(|(byte, unwritten)| !unwritten || *byte == FILL), "{cell:?}");
}

/// Receives by this crate, once taking what comes and once not, and compares with arithmetic.
fn check_ours<T: Passes>(
    socket: &T,
    cell: Cell,
    expected: &Expected,
    sent: &[u64],
    send: impl Fn(),
) {
    let before = open_count();
    let seen = || Seen {
        data: *b"ab\0\0",
        fds: sent[..expected.fds].to_vec(),
        credentials: expected.credentials.then(mine),
        pidfd: expected.pidfd,
        truncation: expected.cause,
    };
    send();
    let lossy = TAKE[cell.room](socket.as_fd(), RecvOptions::new().lossy());
    assert_eq!(lossy, Ok(seen()), "{cell:?}");
    assert_eq!(open_count(), before, "{cell:?}");
    send();
    match (TAKE[cell.room](socket.as_fd(), RecvOptions::new()), expected.cause) {
        (Ok(got), None) => assert_eq!(got, seen(), "{cell:?}"),
        (
            Err(RecvError::ControlTruncated { bytes, size, closed, cause, .. }),
            Some(expected_cause),
        ) => {
            assert_eq!((bytes, size, closed), (2, 2, expected.fds), "{cell:?}");
            assert_eq!(cause, expected_cause, "{cell:?}");
        }
        (answer, cause) => panic!("{cell:?}: {answer:?}, and {cause:?} was expected"),
    }
    assert_eq!(open_count(), before, "{cell:?}");
}

fn what_comes_is_what_a_plain_call_gives_and_what_arithmetic_says<T: Passes>(test: &str) {
    // A process of its own, because descriptors are counted.
    passes_in_child(test, || {
        let (files, mut cells, all) = (files(5), 0, !left_out_by_qemu(CUT));
        let sent = inodes(&files);
        for (passcred, passpidfd) in [(false, false), (true, false), (false, true), (true, true)] {
            let (a, b) = T::pair().unwrap();
            b.set_passcred(passcred).unwrap();
            if !is_set(b.set_passpidfd(passpidfd)) && passpidfd {
                continue;
            }
            for room in 0..=160 {
                for fds in 0..=5 {
                    let cell = Cell { room, fds, passcred, passpidfd };
                    let expected = predict(cell);
                    if expected.cause.is_some() && !all {
                        continue;
                    }
                    let lent = lend(&files[..fds]);
                    let send = || assert_eq!(a.send_fds(b"ab", &lent).unwrap().bytes, 2);
                    send();
                    check_plain(&b, cell, &expected, &sent);
                    check_ours(&b, cell, &expected, &sent, send);
                    cells += 1;
                }
            }
        }
        assert!(cells == 4 * 161 * 6 || is_emulated() && cells > 2 * 100 * 6, "{cells}");
    });
}

/// See "Credentials may come cut" in `kernel.md`: as bytes of the numbers that would have come whole.
fn cut_credentials_come_with_the_length_of_the_room<T: Passes>(_: &str) {
    if left_out_by_qemu(CUT) {
        return;
    }
    let (a, b) = T::pair().unwrap();
    b.set_passcred(true).unwrap();
    let whole = mine();
    let pid = std::process::id();
    let whole = plain::ucred(pid, whole.uid.as_raw(), whole.gid.as_raw());
    for part in 0..12 {
        a.put(b"ab").unwrap();
        let reply = plain::recv(&b, &mut [0; 4], HEADER + part, 0).unwrap();
        assert_eq!(reply.ucred(), Some(&whole[..part]));
        assert!(reply.is_truncated());
        a.put(b"ab").unwrap();
        let seen = TAKE[HEADER + part](b.as_fd(), RecvOptions::new().lossy()).unwrap();
        assert_eq!((seen.credentials, seen.truncation), (None, Some(Truncation::BufferFull)));
    }
}
