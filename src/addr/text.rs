//! Addresses as text for people, each different from any other.

use core::fmt;

use heapless::Vec;

use super::{AddrKind, UnixAddr};
use crate::wire::text::{escape, needs_dot_slash};

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
        let mut text = AddrText { bytes: Vec::new() };
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
    // INVARIANT: ASCII.
    bytes: Vec<u8, TEXT_MAX>,
}

impl AddrText {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes).unwrap_or_default()
    }

    fn push_escaped(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.push_all(escape(*byte).as_bytes());
        }
    }

    fn push_all(&mut self, bytes: &[u8]) {
        for byte in bytes {
            // There is room for the longest, by the reckoning at `TEXT_MAX`.
            let _ = self.bytes.push(*byte);
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
        fmt::Debug::fmt(self.as_str(), f)
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
