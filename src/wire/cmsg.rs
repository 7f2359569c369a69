//! Control messages: headers and payloads as the kernel lays them out.
//!
//! A message is a header (its length, a `size_t`; its level and type, an `int` each), then its
//! payload, then padding to a multiple of a word. The length counts the header and not the padding,
//! which nobody writes. The last message may end without padding, and the buffer with a few bytes
//! more than a multiple of anything.

use core::mem::size_of;

/// The size of a header: 16 bytes where words have 8, and 12 where they have 4.
pub(crate) const HEADER_LEN: usize = WORD + 8;

/// What each message begins at a multiple of.
const WORD: usize = size_of::<usize>();

/// The size of a descriptor, and of each number in a payload.
pub(crate) const INT_LEN: usize = 4;

/// The size of `struct ucred`.
pub(crate) const UCRED_LEN: usize = 12;

/// Most descriptors that a message may carry: `SCM_MAX_FD`.
pub(crate) const FDS_MAX: usize = 253;

/// The level of all messages that the kernel makes for these sockets is `SOL_SOCKET`; these are
/// the types, the same on each architecture.
pub(crate) const SCM_RIGHTS: i32 = 1;
pub(crate) const SCM_CREDENTIALS: i32 = 2;
pub(crate) const SCM_SECURITY: i32 = 3;
pub(crate) const SCM_PIDFD: i32 = 4;

/// `CMSG_LEN`: a header and its payload.
#[inline]
pub(crate) const fn message_len(payload_len: usize) -> usize {
    payload_len.saturating_add(HEADER_LEN)
}

/// `CMSG_SPACE`: a header and its payload with its padding.
#[inline]
pub(crate) const fn message_space(payload_len: usize) -> usize {
    match message_len(payload_len).checked_next_multiple_of(WORD) {
        Some(space) => space,
        None => usize::MAX,
    }
}

/// How many bytes part something of `len` bytes from the next message.
#[inline]
pub(crate) const fn padding_behind(len: usize) -> usize {
    len.wrapping_neg() & WORD.wrapping_sub(1)
}

/// What a header says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    pub(crate) level: i32,
    pub(crate) kind: i32,
    /// The size of the payload behind it, all of it within the buffer.
    pub(crate) payload_len: usize,
}

impl Header {
    /// The same as bytes.
    #[inline]
    pub(crate) const fn encode(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        if let Some((len, rest)) = bytes.split_first_chunk_mut() {
            *len = message_len(self.payload_len).to_ne_bytes();
            if let Some((level, rest)) = rest.split_first_chunk_mut() {
                *level = self.level.to_ne_bytes();
                if let Some(kind) = rest.first_chunk_mut() {
                    *kind = self.kind.to_ne_bytes();
                }
            }
        }
        bytes
    }

    /// Reads a header behind which the buffer has `rest` bytes more; `None` if it says that it is
    /// shorter than a header, or longer than what there is.
    #[inline]
    pub(crate) const fn decode(bytes: &[u8; HEADER_LEN], rest: usize) -> Option<Self> {
        let Some((len, numbers)) = bytes.split_first_chunk() else { return None };
        let Some(payload_len) = usize::from_ne_bytes(*len).checked_sub(HEADER_LEN) else {
            return None;
        };
        if payload_len > rest {
            return None;
        }
        let Some((level, kind)) = numbers.split_first_chunk() else { return None };
        let Some(kind) = kind.first_chunk() else { return None };
        let (level, kind) = (i32::from_ne_bytes(*level), i32::from_ne_bytes(*kind));
        Some(Self { level, kind, payload_len })
    }

    /// How far the next header is from this one, padding included.
    #[inline]
    pub(crate) const fn space(self) -> usize {
        // It was decoded, so its length is that of bytes that there are.
        self.payload_len.wrapping_add(HEADER_LEN + WORD - 1) & !(WORD - 1)
    }

    #[inline]
    pub(crate) const fn is(self, level: i32, kind: i32) -> bool {
        self.level == level && self.kind == kind
    }
}

/// The three numbers of a `struct ucred`: process, user, group.
#[inline]
pub(crate) const fn decode_ucred(ucred: [u8; UCRED_LEN]) -> (i32, u32, u32) {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = ucred;
    let (pid, uid, gid) = ([a, b, c, d], [e, f, g, h], [i, j, k, l]);
    (i32::from_ne_bytes(pid), u32::from_ne_bytes(uid), u32::from_ne_bytes(gid))
}

/// A `struct ucred` of its three numbers.
#[inline]
pub(crate) const fn encode_ucred(pid: i32, uid: u32, gid: u32) -> [u8; UCRED_LEN] {
    let ([a, b, c, d], [e, f, g, h], [i, j, k, l]) =
        (pid.to_ne_bytes(), uid.to_ne_bytes(), gid.to_ne_bytes());
    [a, b, c, d, e, f, g, h, i, j, k, l]
}

/// A payload of one `int`. `None` unless it is just that.
#[inline]
pub(crate) const fn decode_int(payload: &[u8]) -> Option<i32> {
    match payload {
        [a, b, c, d] => Some(i32::from_ne_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}
