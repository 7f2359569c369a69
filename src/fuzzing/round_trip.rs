//! Control messages from the sender to the receiver.

use core::mem::{MaybeUninit, size_of};

use rustix::fs::{Gid, Uid};
use rustix::process::Pid;

use crate::ancillary::{Ancillary, AncillaryWriter, Fds};
use crate::error::CapacityError;
use crate::sys::control::{Arrived, LEVEL};
use crate::{AsRawFd, BorrowedFd, Credentials, RawFd};

const HEADER: usize = size_of::<usize>() + 8;
const WORD: usize = size_of::<usize>();
/// More than 253 descriptors and credentials take.
const ROOM: usize = 1100;
const PARTS: usize = 16;
const FDS: usize = ROOM / 4;

/// One message to be sent.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_enums)]
pub enum Part<'a, 'fd> {
    /// Descriptors.
    Fds(&'a [BorrowedFd<'fd>]),
    /// Credentials.
    Credentials(Credentials),
}

/// How many bytes the messages took, and what came of each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs)]
pub struct Pushed {
    /// How many bytes.
    pub len: usize,
    /// Of those that there were.
    pub results: [Result<(), CapacityError>; PARTS],
}

/// Messages that are written and then received. Input: the size of the buffer in two bytes, low byte
/// first; how many descriptors are taken out one by one; then messages. One begins with a byte: of a
/// multiple of 4 it is credentials, and 12 bytes follow; else descriptors, how many in another byte.
///
/// `pool` is what is sent, descriptors with numbers of their own. `read` reads what was written.
pub fn cmsg_round_trip(
    data: &[u8],
    pool: &[BorrowedFd<'_>],
    read: impl Fn(&[MaybeUninit<u8>]) -> &[u8],
) {
    cmsg_round_trip_with(data, pool, |room, parts| encode(room, parts, &read));
}

/// [`cmsg_round_trip`] with another encoder in place of [`AncillaryWriter`]: it is to fill the front
/// of the room that it is given.
pub fn cmsg_round_trip_with(
    data: &[u8],
    pool: &[BorrowedFd<'_>],
    encode: impl Fn(&mut [u8], &[Part<'_, '_>]) -> Pushed,
) {
    let [low, high, take, data @ ..] = data else { return };
    let capacity = usize::from(u16::from_le_bytes([*low, *high])) % (ROOM + 1);
    let all: [_; FDS] = core::array::from_fn(|at| pool[at % pool.len()]);
    let mut parts = [Part::Fds(&[]); PARTS];
    let count = parse(data, &all, &mut parts);
    let parts = &parts[..count];

    let (mut room, mut wanted) = ([0xee; ROOM], [0xee; ROOM]);
    let pushed = encode(&mut room[..capacity], parts);
    assert_eq!(pushed, naive(&mut wanted[..capacity], parts));
    assert_eq!(&room[..], &wanted[..]);
    let sent = parts.iter().zip(pushed.results).filter(|(_, result)| result.is_ok());
    check_received(&room[..pushed.len], sent.map(|(part, _)| *part), usize::from(*take));
}

/// The messages that the input asks for.
fn parse<'a, 'fd>(
    mut data: &[u8],
    all: &'a [BorrowedFd<'fd>],
    parts: &mut [Part<'a, 'fd>; PARTS],
) -> usize {
    let mut count = 0;
    while count < PARTS {
        (parts[count], data) = match data {
            [kind, ids @ ..] if kind % 4 == 0 && ids.len() >= 12 => {
                let number =
                    |at| i32::from_le_bytes([ids[at], ids[at + 1], ids[at + 2], ids[at + 3]]);
                let credentials = Credentials {
                    pid: Some(number(0)).filter(|pid| *pid > 0).and_then(Pid::from_raw),
                    uid: Uid::from_raw_unchecked(number(4).cast_unsigned()),
                    gid: Gid::from_raw_unchecked(number(8).cast_unsigned()),
                };
                (Part::Credentials(credentials), &ids[12..])
            }
            [kind, len, rest @ ..] if kind % 4 != 0 => {
                let from = usize::from(*kind) / 4 % 16;
                (Part::Fds(&all[from..from + usize::from(*len)]), rest)
            }
            _ => return count,
        };
        count += 1;
    }
    count
}

/// The crate's encoder.
fn encode(
    room: &mut [u8],
    parts: &[Part<'_, '_>],
    read: impl Fn(&[MaybeUninit<u8>]) -> &[u8],
) -> Pushed {
    let mut buf = [MaybeUninit::new(0xdd); ROOM];
    let mut writer = AncillaryWriter::new(&mut buf[..room.len()]);
    let mut results = [Ok(()); PARTS];
    let mut fds = 0;
    for (result, part) in results.iter_mut().zip(parts) {
        *result = match part {
            Part::Fds(fds) => writer.push_fds(fds),
            Part::Credentials(credentials) => writer.push_credentials(*credentials),
        };
        if let (Ok(()), Part::Fds(more)) = (*result, part) {
            fds += more.len();
        }
    }
    assert_eq!(writer.fd_count(), fds);
    let bytes = read(writer.messages());
    room[..bytes.len()].copy_from_slice(bytes);
    Pushed { len: bytes.len(), results }
}

/// The rules for an encoder once more.
fn naive(room: &mut [u8], parts: &[Part<'_, '_>]) -> Pushed {
    let mut pushed = Pushed { len: 0, results: [Ok(()); PARTS] };
    for (at, part) in parts.iter().enumerate() {
        let (kind, payload_len) = match part {
            Part::Fds([]) => continue,
            Part::Fds(fds) => (1, 4 * fds.len()),
            Part::Credentials(_) => (2, 12),
        };
        let start = pushed.len.next_multiple_of(WORD);
        let needed = HEADER + payload_len;
        let left = room.len().saturating_sub(start);
        if needed > left {
            pushed.results[at] = Err(CapacityError { needed, left });
            continue;
        }
        room[pushed.len..start].fill(0);
        pushed.len = start + needed;
        room[start..start + WORD].copy_from_slice(&needed.to_ne_bytes());
        let mut next = start + WORD;
        let mut put = |number: i32| {
            room[next..next + 4].copy_from_slice(&number.to_ne_bytes());
            next += 4;
        };
        put(LEVEL);
        put(kind);
        match part {
            Part::Fds(fds) => fds.iter().for_each(|fd| put(fd.as_raw_fd())),
            Part::Credentials(Credentials { pid, uid, gid }) => {
                put(pid.map_or(0, Pid::as_raw_pid));
                put(uid.as_raw().cast_signed());
                put(gid.as_raw().cast_signed());
            }
        }
        assert_eq!(next, pushed.len);
    }
    pushed
}

/// What a receiver has of messages that were sent so.
fn check_received<'a, 'fd: 'a>(
    bytes: &[u8],
    sent: impl Iterator<Item = Part<'a, 'fd>>,
    take: usize,
) {
    let mut credentials = None;
    let (mut fds, mut count) = ([None; FDS], 0);
    for part in sent {
        match part {
            Part::Fds(more) => more.iter().for_each(|fd| {
                fds[count] = Some(*fd);
                count += 1;
            }),
            Part::Credentials(these) => credentials = credentials.or(Some(these)),
        }
    }
    let mut numbers: [RawFd; FDS] = [-1; FDS];
    let mut installed = 0;
    let mut buf = [MaybeUninit::uninit(); ROOM];
    let arrived = Arrived::installed(&mut buf, bytes, |number| {
        let Some(fd) = fds[installed] else { panic!("{number} was not sent") };
        assert_eq!(number, fd.as_raw_fd());
        // None, where this process has too many.
        let copy = rustix::io::fcntl_dupfd_cloexec(fd, 0).ok();
        numbers[installed] = copy.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        installed += 1;
        copy
    });
    assert_eq!(installed, count);
    let wanted = numbers.iter().copied().filter(|number| *number >= 0);

    if take.is_multiple_of(2) {
        let fds = Fds::<FDS>::of(arrived);
        assert!(fds.iter().map(|fd| fd.as_raw_fd()).eq(wanted.clone()));
        let taken = take.min(fds.len());
        for (fd, wanted) in fds.into_iter().take(taken).zip(wanted) {
            assert_eq!(fd.as_raw_fd(), wanted);
        }
        return;
    }
    let mut ancillary = Ancillary::new(arrived, None, false);
    assert_eq!(ancillary.credentials(), credentials);
    assert!(ancillary.fds().map(|fd| fd.as_raw_fd()).eq(wanted.clone()));
    let taken = take.min(wanted.clone().count());
    for (fd, wanted) in ancillary.take_fds().take(taken).zip(wanted.clone()) {
        assert_eq!(fd.as_raw_fd(), wanted);
    }
    assert!(ancillary.fds().map(|fd| fd.as_raw_fd()).eq(wanted.skip(taken)));
    assert_eq!(ancillary.unknown().count(), 0);
}
