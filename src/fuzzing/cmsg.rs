//! Control messages as the kernel might give them.

use core::mem::{MaybeUninit, size_of};

use rustix::fs::{Gid, Uid};
use rustix::process::Pid;

use crate::ancillary::{Ancillary, cause};
use crate::sys::control::{Arrived, LEVEL, Messages, SCM_INQ};
use crate::{Credentials, Errno};

const HEADER: usize = size_of::<usize>() + 8;
const WORD: usize = size_of::<usize>();

/// A message as a walk finds it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(clippy::exhaustive_structs)]
pub struct Found {
    /// Where its header is.
    pub at: usize,
    /// What the header says of its length, the header counted.
    pub len: usize,
    /// Its level.
    pub level: i32,
    /// Its type.
    pub kind: i32,
}

/// Control messages of any bytes. `libc` is a C library's walk, which tells each message that it
/// finds; of one that is not whole it tells too, and nothing after it.
pub fn cmsg_walk(data: &[u8], libc: impl Fn(&[u8], &mut dyn FnMut(Found))) {
    cmsg_walk_with(data, libc, walk);
    cmsg_accessors(data);
}

/// [`cmsg_walk`] with another walk in place of the crate's.
pub fn cmsg_walk_with(
    data: &[u8],
    libc: impl Fn(&[u8], &mut dyn FnMut(Found)),
    walk: impl Fn(&[u8], &mut dyn FnMut(Found)),
) {
    let mut naive = Naive::new(data);
    let mut count = 0;
    walk(data, &mut |found| {
        assert_eq!(Some(found), naive.next());
        count += 1;
    });
    assert_eq!(naive.next(), None);
    assert!(count <= data.len() / HEADER);

    let mut naive = Naive::new(data);
    let mut ended = false;
    libc(data, &mut |found| {
        assert!(!ended, "{found:?} behind the end");
        ended = found.len < HEADER || found.len > data.len() - found.at;
        assert_eq!(naive.next(), (!ended).then_some(found));
    });
    // What only we find is the last message, and of one of these classes.
    if let Some(extra) = naive.next() {
        assert!(!ended);
        let end = extra.at + extra.len;
        let is_unpadded = end.next_multiple_of(WORD) > data.len();
        let is_bare_header = end == data.len() && extra.len == HEADER;
        assert!(is_unpadded || is_bare_header, "{extra:?} is found by us alone");
        assert_eq!(naive.next(), None);
    }
}

/// The crate's walk.
fn walk(data: &[u8], each: &mut dyn FnMut(Found)) {
    for (header, payload) in Messages::of(data) {
        let at = payload.as_ptr().addr() - data.as_ptr().addr();
        assert_eq!(payload.len(), header.payload_len);
        assert!(at >= HEADER && payload.len() <= data.len() - at, "a payload from elsewhere");
        let len = HEADER + payload.len();
        each(Found { at: at - HEADER, len, level: header.level, kind: header.kind });
    }
}

/// The rules for a walk once more.
#[derive(Clone)]
struct Naive<'a> {
    data: &'a [u8],
    next: usize,
}

impl<'a> Naive<'a> {
    const fn new(data: &'a [u8]) -> Self {
        Self { data, next: 0 }
    }
}

impl Iterator for Naive<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        let (data, at) = (self.data, self.next);
        if at > data.len() || data.len() - at < HEADER {
            return None;
        }
        let mut len = [0; WORD];
        len.copy_from_slice(&data[at..at + WORD]);
        let len = usize::from_ne_bytes(len);
        if len < HEADER || len > data.len() - at {
            return None;
        }
        self.next = at + len;
        while !self.next.is_multiple_of(WORD) {
            self.next += 1;
        }
        Some(Found { at, len, level: int(data, at + WORD), kind: int(data, at + WORD + 4) })
    }
}

/// Four bytes of `data`.
fn int(data: &[u8], at: usize) -> i32 {
    i32::from_ne_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]])
}

/// What is said of such messages where they are received, without a single descriptor in them.
pub fn cmsg_accessors(data: &[u8]) {
    let data = &data[..data.len().min(1024)];
    let mut buf = [MaybeUninit::uninit(); 1024];
    let mut ancillary = Ancillary::new(Arrived::installed(&mut buf, data, |_| None), None, false);
    let payloads = |kind| {
        Naive::new(data)
            .filter(move |found| (found.level, found.kind) == (LEVEL, kind))
            .map(|found| &data[found.at + HEADER..found.at + found.len])
    };
    assert_eq!(ancillary.fds().count(), 0);
    let credentials = payloads(2).find(|payload| payload.len() == 12);
    let credentials = credentials.map(|payload| Credentials {
        pid: Some(int(payload, 0)).filter(|pid| *pid > 0).and_then(Pid::from_raw),
        uid: Uid::from_raw_unchecked(int(payload, 4).cast_unsigned()),
        gid: Gid::from_raw_unchecked(int(payload, 8).cast_unsigned()),
    });
    assert_eq!(ancillary.credentials(), credentials);
    let context = payloads(3).next().map(|payload| payload.strip_suffix(&[0]).unwrap_or(payload));
    assert_eq!(ancillary.security_context(), context);
    let left = payloads(SCM_INQ).next().filter(|payload| payload.len() == 4);
    let left = left.and_then(|payload| usize::try_from(int(payload, 0)).ok());
    assert_eq!(ancillary.bytes_left(), left);
    let mut unknown = ancillary.unknown();
    for found in Naive::new(data) {
        if found.level == LEVEL && [1, 2, 3, 4, SCM_INQ].contains(&found.kind) {
            continue;
        }
        let Some(message) = unknown.next() else { panic!("{found:?} is missing") };
        assert_eq!((message.level, message.kind), (found.level, found.kind));
        assert_eq!(message.payload, &data[found.at + HEADER..found.at + found.len]);
    }
    assert_eq!(unknown.next(), None);
    for room in [0, data.len(), 1024, usize::MAX] {
        // Any answer, but an answer.
        let _ = cause(Messages::of(data), room);
    }
    let pidfd = payloads(4).find(|payload| payload.len() == 4).map(|payload| int(payload, 0));
    let errno = match pidfd {
        None => None,
        Some(0..) => Some(Errno::MFILE),
        Some(number @ -4095..) => Some(Errno::from_raw_os_error(-number)),
        Some(_) => Some(Errno::PROTO),
    };
    assert_eq!(ancillary.take_pidfd().err(), errno);
    assert_eq!(ancillary.take_fds().count(), 0);
}
