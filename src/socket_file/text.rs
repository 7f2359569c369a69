//! Strings for the kernel, in a room whose size is known when the program is compiled.

use core::ffi::CStr;
use core::fmt;

use crate::error::SocketFileError;

/// At most `N - 1` bytes, and their NUL.
///
/// INVARIANT text: there is no NUL before `len`, and from there on nothing else.
#[derive(Clone, Copy)]
pub(super) struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    const EMPTY: Self = Self { bytes: [0; N], len: 0 };

    /// What has no NUL inside.
    pub(super) fn of(text: &[u8]) -> Result<Self, SocketFileError> {
        Self::check(text)?;
        let mut all = Self::EMPTY;
        all.push(text);
        Ok(all)
    }

    /// Whether [`of`](Self::of) takes this, without the room for it.
    pub(super) fn check(text: &[u8]) -> Result<(), SocketFileError> {
        if let Some(position) = text.iter().position(|byte| *byte == 0) {
            return Err(SocketFileError::InteriorNul { position });
        }
        let (len, limit) = (text.len(), N.saturating_sub(1));
        if len > limit { Err(SocketFileError::TooLong { len, limit }) } else { Ok(()) }
    }

    /// Puts the parts together; `None` if there is no room for them. None may have a NUL.
    pub(super) fn joined(parts: &[&[u8]]) -> Option<Self> {
        let mut all = Self::EMPTY;
        parts.iter().all(|part| all.push(part)).then_some(all)
    }

    fn push(&mut self, part: &[u8]) -> bool {
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        let fits = copy(room, part);
        if fits {
            self.len = self.len.saturating_add(part.len());
        }
        fits
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    pub(super) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

/// Once for all sizes of room, of which one byte at least is left.
#[inline(never)]
fn copy(room: &mut [u8], part: &[u8]) -> bool {
    let Some((to, [_, ..])) = room.split_at_mut_checked(part.len()) else { return false };
    // Not `copy_from_slice`, whose panic stays where it is not inlined.
    for (slot, byte) in to.iter_mut().zip(part) {
        *slot = *byte;
    }
    true
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

/// A number as text, for the end of a path.
#[derive(Debug)]
pub(super) struct Digits {
    bytes: [u8; Self::MOST],
    first: usize,
}

impl Digits {
    /// Of the greatest number in the smallest base.
    const MOST: usize = 16;

    pub(super) fn decimal(number: u32) -> Self {
        Self::of(number.into(), 10)
    }

    pub(super) fn hexadecimal(number: u64) -> Self {
        Self::of(number, 16)
    }

    /// `base` is 10 for what has 32 bits, or 16.
    fn of(mut number: u64, base: u64) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut bytes = [b'0'; Self::MOST];
        let mut first = Self::MOST;
        for digit in bytes.iter_mut().rev() {
            let value = number.checked_rem(base).and_then(|value| usize::try_from(value).ok());
            *digit = value.and_then(|value| DIGITS.get(value)).copied().unwrap_or(b'0');
            number = number.checked_div(base).unwrap_or(0);
            first = first.saturating_sub(1);
            if number == 0 {
                break;
            }
        }
        Self { bytes, first }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.first..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn a_text_has_room_for_one_byte_less_and_its_nul() {
        let text = Text::<5>::of(b"abcd").unwrap();
        assert_eq!((text.as_bytes(), text.as_c_str()), (&b"abcd"[..], c"abcd"));
        assert_eq!(
            Text::<5>::of(b"abcde").unwrap_err(),
            SocketFileError::TooLong { len: 5, limit: 4 }
        );
        assert_eq!(Text::<5>::of(b"").unwrap().as_c_str(), c"");
        let error = Text::<5>::of(b"ab\0de and more").unwrap_err();
        assert_eq!(error, SocketFileError::InteriorNul { position: 2 });
        assert_eq!(Text::<5>::joined(&[b"ab", b"", b"cd"]).unwrap().as_bytes(), b"abcd");
        assert!(Text::<5>::joined(&[b"abc", b"de"]).is_none());
        assert!(Text::<5>::joined(&[b"abcde"]).is_none());
    }

    #[test]
    fn numbers_are_written_as_std_writes_them() {
        for number in [0, 1, 9, 10, 99, 100, 1023, 4_000_000_000, u32::MAX] {
            assert_eq!(Digits::decimal(number).as_bytes(), format!("{number}").as_bytes());
        }
        for number in [0, 15, 16, 0xdead_beef, u64::MAX] {
            assert_eq!(Digits::hexadecimal(number).as_bytes(), format!("{number:x}").as_bytes());
        }
    }
}
