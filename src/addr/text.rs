//! Addresses as text for people, each different from any other.

use core::fmt::{self, Write};

use super::{AddrKind, UnixAddr};
use crate::wire::text::{escape, needs_dot_slash};

/// # Showing an address
impl UnixAddr {
    /// The text that [`Display`](#impl-Display-for-UnixAddr) prints, on the stack, at most 432
    /// bytes of ASCII.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixAddr;
    ///
    /// let text = UnixAddr::from_abstract_name(b"tab\t")?.to_text();
    /// assert_eq!(text.as_str(), r"@tab\t");
    /// # Ok::<(), afunix::AddrError>(())
    /// ```
    #[must_use]
    pub fn to_text(&self) -> AddrText {
        let mut text = AddrText { bytes: [0; TEXT_MAX], len: 0 };
        match self.kind() {
            AddrKind::Unnamed => text.push_all(b"<unnamed>"),
            AddrKind::Abstract(name) => {
                text.push_all(b"@");
                text.push_escaped(name);
            }
            AddrKind::Pathname(path) => {
                if needs_dot_slash(path) {
                    text.push_all(b"./");
                }
                text.push_escaped(path);
            }
        }
        text
    }
}

/// The longest text: a path of 108 bytes, each a `\x..`. One that gets `./` in front has at least
/// one byte that is not escaped.
const TEXT_MAX: usize = 432;

/// An address as text for people, held on the stack; made by [`UnixAddr::to_text`].
///
/// # Examples
///
/// ```
/// use afunix::UnixAddr;
///
/// let text = UnixAddr::UNNAMED.to_text();
/// assert_eq!(text.as_str(), "<unnamed>");
/// # Ok::<(), afunix::AddrError>(())
/// ```
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct AddrText {
    // INVARIANT: ASCII up to `len`, and NUL from there on, so that what is derived is right.
    bytes: [u8; TEXT_MAX],
    len: usize,
}

impl AddrText {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }

    fn push_escaped(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.push_all(escape(*byte).as_bytes());
        }
    }

    fn push_all(&mut self, bytes: &[u8]) {
        for byte in bytes {
            // There is room for the longest, by the reckoning at `TEXT_MAX`.
            if let Some(slot) = self.bytes.get_mut(self.len) {
                *slot = *byte;
                self.len = self.len.wrapping_add(1);
            }
        }
    }
}

impl AsRef<str> for AddrText {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for AddrText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As `str` has it, without the panics that its way through all of Unicode could reach.
        f.write_char('"')?;
        for letter in self.as_str().chars() {
            if matches!(letter, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(letter)?;
        }
        f.write_char('"')
    }
}

impl fmt::Display for AddrText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// For people: `/path`, `@name` or `<unnamed>`, printable ASCII only.
///
/// The backslash and whatever is not printable becomes a C escape: `\\`, `\n`, `\r`, `\t`, else
/// `\x` and two digits. A relative path that would read like something else gets `./` in front. So
/// no two different addresses print alike; but an escaped text is not to be fed back to
/// [`parse`](UnixAddr::parse), which takes every byte as it stands.
impl fmt::Display for UnixAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_text().fmt(f)
    }
}

/// The kind and the text.
impl fmt::Debug for UnixAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind() {
            AddrKind::Pathname(_) => "pathname ",
            AddrKind::Abstract(_) => "abstract ",
            AddrKind::Unnamed => "",
        };
        write!(f, "UnixAddr({kind}{})", self.to_text().as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn debug_is_as_str_has_it() {
        for name in [&b"plain"[..], b"\"'\\\n\xff", b""] {
            let text = UnixAddr::from_abstract_name(name).unwrap().to_text();
            assert_eq!(format!("{text:?}"), format!("{:?}", text.as_str()));
        }
    }
}
