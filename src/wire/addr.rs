//! `sockaddr_un`: which lengths and bytes are an address, and of which kind.

use crate::error::{AddrError, DecodeError};

/// `AF_UNIX`, the same on every architecture.
pub(crate) const AF_UNIX: u16 = 1;

/// Bytes before `sun_path`: `sa_family_t`.
pub(crate) const FAMILY_LEN: usize = 2;

/// Bytes of `sun_path`, and so of the longest path.
pub(crate) const SUN_PATH_LEN: usize = 108;

/// Bytes of the longest abstract name: `sun_path` less the NUL in front of it.
pub(crate) const ABSTRACT_NAME_MAX: usize = 107;

/// `sizeof(struct sockaddr_un)`: the longest address that the kernel takes.
pub(crate) const ADDR_MAX: usize = 110;

/// The longest that the kernel reports: a path of 108 bytes, counted with a NUL that does not fit
/// into `struct sockaddr_un`.
pub(crate) const REPORTED_MAX: usize = 111;

/// What an address is, as the number of bytes of path or name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    Unnamed,
    /// 1 to 108 bytes from the start of `sun_path`, none of them NUL.
    Pathname(usize),
    /// 0 to 107 bytes from the second byte of `sun_path`.
    Abstract(usize),
}

/// Whether a path has a length that the kernel takes; its bytes are looked at as they are copied.
#[inline]
pub(crate) const fn check_path_len(path: &[u8]) -> Result<(), AddrError> {
    match path.len() {
        1..=SUN_PATH_LEN => Ok(()),
        0 => Err(AddrError::EmptyPath),
        len => Err(AddrError::PathTooLong { len }),
    }
}

/// Whether the bytes fit behind the NUL that makes a name abstract. Any byte will do.
#[inline]
pub(crate) const fn check_abstract_name(name: &[u8]) -> Result<(), AddrError> {
    if name.len() > ABSTRACT_NAME_MAX {
        return Err(AddrError::NameTooLong { len: name.len() });
    }
    Ok(())
}

/// What is wrong with bytes among which there is a NUL.
#[cold]
#[inline(never)]
pub(crate) const fn interior_nul(bytes: &[u8]) -> AddrError {
    AddrError::InteriorNul { position: until_nul(bytes), len: bytes.len() }
}

/// Whether this is what the kernel reports of most sockets that have a path: 8 to 107 bytes and one
/// NUL, which is the last. Then nothing is left to do; of all else [`decode`] makes sense.
#[inline(always)]
pub(crate) const fn is_usual_path(addr: &[u8; ADDR_MAX], addr_len: usize) -> bool {
    let Some((addr, _)) = addr.split_at_checked(addr_len) else {
        return false;
    };
    let [low, high, path @ .., 0] = addr else {
        return false;
    };
    if u16::from_ne_bytes([*low, *high]) != AF_UNIX {
        return false;
    }
    // Of the whole, which is 3 bytes more than the path: that number is at hand.
    match addr_len {
        35..=66 => !blocks_have_nul::<32>(path),
        19..=34 => !blocks_have_nul::<16>(path),
        67.. => !blocks_have_nul::<64>(path),
        11..=18 => !blocks_have_nul::<8>(path),
        _ => false,
    }
}

/// Tells what `addr_len` bytes of address are, of which `bytes` holds as many as were copied.
///
/// The kind follows from the length before any byte of `sun_path` is looked at: a name that is
/// empty, or that begins with NUL, is as good a name as any other.
#[inline]
pub(crate) const fn decode(bytes: &[u8], addr_len: usize) -> Result<Shape, DecodeError> {
    // What recvmsg reports of a sender that has no name. Not even a family is written then.
    if addr_len == 0 {
        return Ok(Shape::Unnamed);
    }
    let have = bytes.len();
    let Some((family, rest)) = bytes.split_first_chunk::<FAMILY_LEN>() else {
        return Err(if addr_len < FAMILY_LEN {
            DecodeError::Length { addr_len }
        } else {
            DecodeError::Truncated { addr_len, have }
        });
    };
    if addr_len < FAMILY_LEN {
        return Err(DecodeError::Length { addr_len });
    }
    let found = u16::from_ne_bytes(*family);
    if found != AF_UNIX {
        return Err(DecodeError::Family { found });
    }
    if addr_len > ADDR_MAX {
        return decode_over_long(bytes, addr_len);
    }
    let Some((sun_path, _)) = rest.split_at_checked(addr_len.wrapping_sub(FAMILY_LEN)) else {
        return Err(DecodeError::Truncated { addr_len, have });
    };
    match sun_path {
        [] => Ok(Shape::Unnamed),
        [0, name @ ..] => Ok(Shape::Abstract(name.len())),
        path => Ok(Shape::Pathname(path_len(path))),
    }
}

/// The one address that is longer than `struct sockaddr_un`: 108 bytes of path, and their NUL.
#[cold]
const fn decode_over_long(bytes: &[u8], addr_len: usize) -> Result<Shape, DecodeError> {
    let have = bytes.len();
    if addr_len != REPORTED_MAX {
        return Err(DecodeError::Length { addr_len });
    }
    let Some((addr, rest)) = bytes.split_first_chunk::<ADDR_MAX>() else {
        return Err(DecodeError::Truncated { addr_len, have });
    };
    // The byte that does not fit need not be there; where it is, only NUL will do.
    if !matches!(rest, [] | [0, ..]) {
        return Err(DecodeError::Length { addr_len });
    }
    match addr.split_last_chunk::<SUN_PATH_LEN>() {
        Some((_, path)) if !has_nul(path) => Ok(Shape::Pathname(SUN_PATH_LEN)),
        _ => Err(DecodeError::Length { addr_len }),
    }
}

/// How much of a non-empty `sun_path` is the path: the kernel too ends it at its first NUL.
#[inline]
const fn path_len(sun_path: &[u8]) -> usize {
    // The kernel's own answers have their one NUL at the very end.
    match sun_path {
        [path @ .., 0] if !has_nul(path) => path.len(),
        _ => until_nul(sun_path),
    }
}

/// How many bytes come before the first NUL.
const fn until_nul(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let mut count: usize = 0;
    while let [first, tail @ ..] = rest {
        if *first == 0 {
            break;
        }
        count = count.wrapping_add(1);
        rest = tail;
    }
    count
}

/// Whether any byte is NUL, by two overlapping blocks of the greatest fixed size that fits.
#[inline]
pub(crate) const fn has_nul(bytes: &[u8]) -> bool {
    let len = bytes.len();
    if len > 128 {
        return until_nul(bytes) < len;
    }
    if len >= 64 {
        return blocks_have_nul::<64>(bytes);
    }
    if len >= 32 {
        return blocks_have_nul::<32>(bytes);
    }
    if len >= 16 {
        return blocks_have_nul::<16>(bytes);
    }
    if len >= 8 {
        return blocks_have_nul::<8>(bytes);
    }
    few_have_nul(bytes)
}

/// The same for `N` to `2 * N` bytes. A size known to the compiler becomes a few vector
/// instructions.
#[inline(always)]
const fn blocks_have_nul<const N: usize>(bytes: &[u8]) -> bool {
    let (Some(head), Some(tail)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) else {
        return until_nul(bytes) < bytes.len();
    };
    let (mut heads, mut tails): (&[u8], &[u8]) = (head, tail);
    let mut found = false;
    while let ([head, rest_of_heads @ ..], [tail, rest_of_tails @ ..]) = (heads, tails) {
        // Half as many comparisons with 0 as there are bytes.
        let least = if *head < *tail { *head } else { *tail };
        found |= least == 0;
        (heads, tails) = (rest_of_heads, rest_of_tails);
    }
    found
}

/// The same for 0 to 7 bytes.
const fn few_have_nul(bytes: &[u8]) -> bool {
    match bytes {
        [] => false,
        [a] => *a == 0,
        [_, _] | [_, _, _] => blocks_have_nul::<2>(bytes),
        _ => blocks_have_nul::<4>(bytes),
    }
}

/// Copies at most 108 bytes to the start of `to`, by two overlapping blocks of the greatest fixed
/// size that fits. With `PATH` nothing is copied, and the answer is `false`, if there is a NUL
/// among them; as it is for what is longer.
#[inline]
pub(crate) const fn copy<const PATH: bool>(to: &mut [u8; SUN_PATH_LEN], from: &[u8]) -> bool {
    let len = from.len();
    if len >= 64 {
        return copy_blocks::<64, PATH>(to, from);
    }
    if len >= 32 {
        return copy_blocks::<32, PATH>(to, from);
    }
    if len >= 16 {
        return copy_blocks::<16, PATH>(to, from);
    }
    if len >= 8 {
        return copy_blocks::<8, PATH>(to, from);
    }
    copy_few::<PATH>(to, from)
}

/// The same for `N` to `2 * N` bytes.
#[inline(always)]
const fn copy_blocks<const N: usize, const PATH: bool>(
    to: &mut [u8; SUN_PATH_LEN],
    from: &[u8],
) -> bool {
    let Some((to, _)) = to.split_at_mut_checked(from.len()) else {
        return false;
    };
    if PATH && blocks_have_nul::<N>(from) {
        return false;
    }
    if let (Some(block), Some(head)) = (to.first_chunk_mut::<N>(), from.first_chunk::<N>()) {
        *block = *head;
    }
    if let (Some(block), Some(tail)) = (to.last_chunk_mut::<N>(), from.last_chunk::<N>()) {
        *block = *tail;
    }
    true
}

/// The same for 0 to 7 bytes.
const fn copy_few<const PATH: bool>(to: &mut [u8; SUN_PATH_LEN], from: &[u8]) -> bool {
    match from {
        [] => true,
        [0] if PATH => false,
        [a] => {
            let [slot, ..] = to;
            *slot = *a;
            true
        }
        [_, _] | [_, _, _] => copy_blocks::<2, PATH>(to, from),
        _ => copy_blocks::<4, PATH>(to, from),
    }
}
