//! Addresses, from the kernel and from people.

use core::fmt::{self, Write};

use crate::wire::addr::is_usual_path;
use crate::{AddrError, AddrKind, DecodeError, UnixAddr};

const FAMILY: [u8; 2] = 1u16.to_ne_bytes();

/// Addresses as the kernel reports them. Input: the reported length in two bytes, low byte first,
/// 0xffff standing for the largest of all; then the bytes that were copied.
pub fn addr_raw(data: &[u8]) {
    addr_raw_with(data, UnixAddr::from_raw);
}

/// [`addr_raw`] with another function in place of [`UnixAddr::from_raw`].
pub fn addr_raw_with(
    data: &[u8],
    from_raw: impl Fn(&[u8], usize) -> Result<UnixAddr, DecodeError>,
) {
    let [low, high, bytes @ ..] = data else { return };
    let addr_len = match u16::from_le_bytes([*low, *high]) {
        u16::MAX => usize::MAX,
        addr_len => usize::from(addr_len),
    };
    let wanted = reported(bytes, addr_len);
    let got = from_raw(bytes, addr_len);
    match (&got, wanted) {
        (Ok(addr), Ok(kind)) => check_addr(addr, kind),
        (got, wanted) => assert_eq!(got.err(), wanted.err()),
    }
    for old in [
        AddrKind::Unnamed,
        AddrKind::Abstract(&[0; 107]),
        AddrKind::Abstract(&[b'o'; 107]),
        AddrKind::Pathname(b"old"),
        AddrKind::Pathname(&[b'o'; 108]),
    ] {
        let mut addr = made(old);
        assert_eq!(addr.set_raw(bytes, addr_len), wanted.map(drop));
        // What was there before must not shine through; on an error, nothing else may.
        check_addr(&addr, wanted.unwrap_or(old));
    }
    check_usual(bytes, addr_len);
}

/// The shortcut for what the kernel writes in place may only take what is a path to the last byte.
fn check_usual(bytes: &[u8], addr_len: usize) {
    let mut buffer = [0; 110];
    for (slot, byte) in buffer.iter_mut().zip(bytes) {
        *slot = *byte;
    }
    if is_usual_path(&buffer, addr_len) {
        let Ok(AddrKind::Pathname(path)) = reported(&buffer, addr_len) else {
            panic!("{addr_len} bytes taken for a path");
        };
        assert_eq!(path.len() + 3, addr_len);
    }
}

/// Paths, names and texts as people write them. Input: a length in one byte, that many bytes of
/// one `sun_path`, then another one.
pub fn addr_text(data: &[u8]) {
    addr_text_with(data, UnixAddr::parse, |addr, out| {
        write!(out, "{addr}").is_ok_and(|()| out.as_bytes() == addr.to_text().as_str().as_bytes())
    });
}

/// [`addr_text`] with other functions in place of [`UnixAddr::parse`] and of printing, which gives
/// `false` if it failed.
pub fn addr_text_with(
    data: &[u8],
    parse: impl Fn(&[u8]) -> Result<UnixAddr, AddrError>,
    show: impl Fn(&UnixAddr, &mut Text) -> bool,
) {
    let [len, rest @ ..] = data else { return };
    let (one, other) = rest.split_at(rest.len().min(usize::from(*len)));
    let parts = [one, other];
    let shown = parts.map(|sun_path| {
        check_made(sun_path);
        check_parsed(&parse, sun_path);
        check_parsed(&parse, &sun_path[..nul_position(sun_path)]);
        let addr = made(named(sun_path));
        let mut text = Text::new();
        assert!(show(&addr, &mut text), "printing failed");
        check_text(&parse, &addr, text.as_bytes());
        (addr, text)
    });
    let [(one, one_text), (other, other_text)] = &shown;
    assert_eq!(one == other, one_text.as_bytes() == other_text.as_bytes());
}

/// A printed address must lead back to it, and only to it.
fn check_text(parse: impl Fn(&[u8]) -> Result<UnixAddr, AddrError>, addr: &UnixAddr, text: &[u8]) {
    assert!(text.len() <= 432);
    assert!(text.iter().all(|byte| matches!(byte, 0x20..=0x7e)));
    let mut room = [0; 108];
    assert_eq!(read_back(text, &mut room), addr.kind());
    check_parsed(&parse, text);
    let readable = matches!(text, [b'/', ..] | [b'@', _, ..]);
    if readable && !text.contains(&b'\\') {
        assert_eq!(parse(text), Ok(*addr));
    }
}

fn check_parsed(parse: impl Fn(&[u8]) -> Result<UnixAddr, AddrError>, text: &[u8]) {
    match (parse(text), parsed(text)) {
        (Ok(addr), Ok(kind)) => check_addr(&addr, kind),
        (got, wanted) => assert_eq!(got.err(), wanted.err()),
    }
}

/// What making an address of a path and of a name should come to, in both forms of each.
fn check_made(bytes: &[u8]) {
    let len = bytes.len();
    let path = match nul_position(bytes) {
        _ if len == 0 => Err(AddrError::EmptyPath),
        _ if len > 108 => Err(AddrError::PathTooLong { len }),
        position if position < len => Err(AddrError::InteriorNul { position, len }),
        _ => Ok(AddrKind::Pathname(bytes)),
    };
    let name = match len {
        0..=107 => Ok(AddrKind::Abstract(bytes)),
        _ => Err(AddrError::NameTooLong { len }),
    };
    let mut zeros = [0; 107];
    for (slot, byte) in zeros.iter_mut().zip(bytes) {
        *slot = *byte;
    }
    let padded = name.map(|_| AddrKind::Abstract(&zeros));
    for (got, wanted) in [
        (UnixAddr::from_pathname(bytes), path),
        (UnixAddr::from_abstract_name(bytes), name),
        (UnixAddr::from_abstract_padded(bytes), padded),
    ] {
        assert_eq!(got.err(), wanted.err());
        if let (Ok(addr), Ok(kind)) = (got, wanted) {
            check_addr(&addr, kind);
        }
    }
    for old in [AddrKind::Pathname(&[b'o'; 108]), AddrKind::Abstract(b"\0old")] {
        let (mut by_path, mut by_name) = (made(old), made(old));
        assert_eq!(by_path.set_pathname(bytes), path.map(drop));
        check_addr(&by_path, path.unwrap_or(old));
        assert_eq!(by_name.set_abstract_name(bytes), name.map(drop));
        check_addr(&by_name, name.unwrap_or(old));
    }
}

/// Everything that can be asked of an address, given what it should be.
fn check_addr(addr: &UnixAddr, wanted: AddrKind<'_>) {
    let mut raw = [0; 111];
    let mut addr_len = 2;
    [raw[0], raw[1]] = FAMILY;
    let (path, name) = match wanted {
        AddrKind::Unnamed => (None, None),
        AddrKind::Abstract(name) => {
            for (at, byte) in name.iter().enumerate() {
                raw[3 + at] = *byte;
            }
            addr_len = 3 + name.len();
            (None, Some(name))
        }
        AddrKind::Pathname(path) => {
            for (at, byte) in path.iter().enumerate() {
                raw[2 + at] = *byte;
            }
            addr_len = (3 + path.len()).min(110);
            (Some(path), None)
        }
    };
    assert_eq!(addr.kind(), wanted);
    assert_eq!(addr.as_pathname(), path);
    assert_eq!(addr.as_pathname_cstr().map(|path| path.to_bytes()), path);
    assert_eq!(addr.as_abstract_name(), name);
    assert_eq!(addr.is_unnamed(), path.is_none() && name.is_none());
    assert_eq!(addr.addr_len(), addr_len);
    assert_eq!(addr.as_raw_bytes(), &raw[..addr_len]);
    assert_eq!(UnixAddr::from_raw(addr.as_raw_bytes(), addr_len), Ok(*addr));
    if path.is_some_and(|path| path.len() == 108) {
        // As the kernel counts it, with and without the byte that does not fit.
        assert_eq!(UnixAddr::from_raw(&raw[..110], 111), Ok(*addr));
        assert_eq!(UnixAddr::from_raw(&raw, 111), Ok(*addr));
    }
}

/// The rule for what the kernel reports: `from_raw`'s, once more.
fn reported(bytes: &[u8], addr_len: usize) -> Result<AddrKind<'_>, DecodeError> {
    let have = bytes.len();
    if addr_len == 0 {
        return Ok(AddrKind::Unnamed);
    }
    if addr_len == 1 {
        return Err(DecodeError::Length { addr_len });
    }
    if have < 2 {
        return Err(DecodeError::Truncated { addr_len, have });
    }
    if bytes[..2] != FAMILY {
        return Err(DecodeError::Family { found: u16::from_ne_bytes([bytes[0], bytes[1]]) });
    }
    if addr_len >= 112 {
        return Err(DecodeError::Length { addr_len });
    }
    if have < addr_len.min(110) {
        return Err(DecodeError::Truncated { addr_len, have });
    }
    let sun_path = &bytes[2..addr_len.min(110)];
    let end = nul_position(sun_path);
    if addr_len == 111 && (end < 108 || bytes.get(110).is_some_and(|byte| *byte != 0)) {
        return Err(DecodeError::Length { addr_len });
    }
    Ok(match sun_path {
        [] => AddrKind::Unnamed,
        [0, name @ ..] => AddrKind::Abstract(name),
        path => AddrKind::Pathname(&path[..end]),
    })
}

/// The rule for a text: `parse`'s, once more.
fn parsed(text: &[u8]) -> Result<AddrKind<'_>, AddrError> {
    let (len, position) = (text.len(), nul_position(text));
    if len == 0 {
        return Err(AddrError::EmptyText);
    }
    let first = text[0];
    if first != b'/' && first != b'@' {
        return Err(AddrError::NotAbsolute { first });
    }
    if first == b'@' && len == 1 {
        return Err(AddrError::EmptyName);
    }
    if first == b'@' && len > 108 {
        return Err(AddrError::NameTooLong { len: len - 1 });
    }
    if len > 108 {
        return Err(AddrError::PathTooLong { len });
    }
    if position < len {
        return Err(AddrError::InteriorNul { position, len });
    }
    Ok(if first == b'@' { AddrKind::Abstract(&text[1..]) } else { AddrKind::Pathname(text) })
}

/// Undoes the printing. What is not printed in the one way that there is for it panics.
fn read_back<'a>(text: &[u8], room: &'a mut [u8; 108]) -> AddrKind<'a> {
    if text == b"<unnamed>" {
        return AddrKind::Unnamed;
    }
    let is_name = text[0] == b'@';
    let mut behind_dots = 0;
    while text[behind_dots..].starts_with(b"./") {
        behind_dots += 2;
    }
    let has_prefix = behind_dots > 0 && matches!(text.get(behind_dots), Some(b'@' | b'<'));
    assert!(has_prefix || text[0] != b'<', "reads like the unnamed one");
    let mut rest = match (is_name, has_prefix) {
        (true, _) => &text[1..],
        (false, true) => &text[2..],
        (false, false) => text,
    };
    let mut len = 0;
    while !rest.is_empty() {
        (room[len], rest) = match rest {
            [b'\\', b'\\', rest @ ..] => (b'\\', rest),
            [b'\\', b'n', rest @ ..] => (b'\n', rest),
            [b'\\', b'r', rest @ ..] => (b'\r', rest),
            [b'\\', b't', rest @ ..] => (b'\t', rest),
            [b'\\', b'x', high, low, rest @ ..] => {
                let byte = digit(*high) * 16 + digit(*low);
                let plain = matches!(byte, 0x20..=0x7e | b'\n' | b'\r' | b'\t');
                assert!(!plain, "escaped without need, or in two ways");
                (byte, rest)
            }
            [b'\\', ..] => panic!("an escape that nobody knows"),
            [byte, rest @ ..] => (*byte, rest),
            [] => unreachable!("it is not empty"),
        };
        len += 1;
    }
    if is_name { AddrKind::Abstract(&room[..len]) } else { AddrKind::Pathname(&room[..len]) }
}

fn digit(letter: u8) -> u8 {
    match letter {
        b'0'..=b'9' => letter - b'0',
        b'a'..=b'f' => letter - b'a' + 10,
        _ => panic!("no digit: {letter:#x}"),
    }
}

/// The address that `sun_path` holds, whatever its length: what is too much is left away.
fn named(sun_path: &[u8]) -> AddrKind<'_> {
    let sun_path = &sun_path[..sun_path.len().min(108)];
    match sun_path {
        [] => AddrKind::Unnamed,
        [0, name @ ..] => AddrKind::Abstract(name),
        path => AddrKind::Pathname(&path[..nul_position(path)]),
    }
}

fn made(kind: AddrKind<'_>) -> UnixAddr {
    let addr = match kind {
        AddrKind::Unnamed => Ok(UnixAddr::UNNAMED),
        AddrKind::Abstract(name) => UnixAddr::from_abstract_name(name),
        AddrKind::Pathname(path) => UnixAddr::from_pathname(path),
    };
    addr.unwrap_or_else(|error| panic!("{kind:?}: {error}"))
}

/// Where the first NUL is; the length if there is none.
fn nul_position(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() && bytes[at] != 0 {
        at += 1;
    }
    at
}

/// What was printed.
#[derive(Debug)]
pub struct Text {
    // More than an address may take, so that too much is seen as that.
    bytes: [u8; 512],
    len: usize,
}

impl Text {
    const fn new() -> Self {
        Self { bytes: [0; 512], len: 0 }
    }

    /// As far as it is written.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            *self.bytes.get_mut(self.len).ok_or(fmt::Error)? = byte;
            self.len += 1;
        }
        Ok(())
    }
}
