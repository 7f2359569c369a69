//! Addresses as text: `/path` and `@name` to read, the same with C escapes to show.

use crate::error::AddrError;
use crate::wire::addr::{check_abstract_name, check_path_len, has_nul, interior_nul};

/// What a text names; length and bytes have been checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Parsed<'a> {
    Pathname(&'a [u8]),
    Abstract(&'a [u8]),
}

/// Reads `/path` and `@name` literally: no escape is undone, no byte is trimmed.
pub(crate) const fn parse(text: &[u8]) -> Result<Parsed<'_>, AddrError> {
    match text {
        [] => Err(AddrError::EmptyText),
        [b'/', ..] => match check_path_len(text) {
            Err(error) => Err(error),
            Ok(()) if has_nul(text) => Err(interior_nul(text)),
            Ok(()) => Ok(Parsed::Pathname(text)),
        },
        [b'@'] => Err(AddrError::EmptyName),
        [b'@', name @ ..] => match check_abstract_name(name) {
            Err(error) => Err(error),
            Ok(()) if has_nul(name) => Err(interior_nul(text)),
            Ok(()) => Ok(Parsed::Abstract(name)),
        },
        [first, ..] => Err(AddrError::NotAbsolute { first: *first }),
    }
}

/// Whether a path as it stands would read like something else: like an abstract name, like
/// `<unnamed>`, or like another path to which this very prefix was given.
pub(crate) const fn needs_dot_slash(path: &[u8]) -> bool {
    let mut rest = path;
    while let [b'.', b'/', tail @ ..] = rest {
        rest = tail;
    }
    matches!(rest, [b'@' | b'<', ..])
}

/// One byte as people should see it: 1 to 4 bytes of ASCII.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Escaped {
    bytes: [u8; 4],
    len: usize,
}

impl Escaped {
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Printable ASCII stays, except the backslash; the rest becomes a C escape of fixed length.
#[inline]
pub(crate) const fn escape(byte: u8) -> Escaped {
    match byte {
        b'\\' => pair(b'\\'),
        b'\n' => pair(b'n'),
        b'\r' => pair(b'r'),
        b'\t' => pair(b't'),
        b' '..=b'~' => Escaped { bytes: [byte, 0, 0, 0], len: 1 },
        _ => Escaped { bytes: [b'\\', b'x', hex(byte >> 4), hex(byte & 0xf)], len: 4 },
    }
}

const fn pair(letter: u8) -> Escaped {
    Escaped { bytes: [b'\\', letter, 0, 0], len: 2 }
}

const fn hex(digit: u8) -> u8 {
    match digit {
        0..=9 => b'0'.wrapping_add(digit),
        _ => b'a'.wrapping_add(digit).wrapping_sub(10),
    }
}
